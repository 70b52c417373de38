"""The local stack: every server Teleconsult needs, started as children of one Python process.

Used by `teleconsult up` and, unchanged, by the tests. Nothing that already runs on the machine is
touched: each part has its own port, its own folder under one data folder, and ends with the process
that started it.
"""

from app.localstack.ports import Ports
from app.localstack.process import Part, PartFailed
from app.localstack.supervisor import BACKING, DEMONSTRATION, SERVICES, AlreadyRunning, LocalStack

__all__ = [
    "BACKING",
    "DEMONSTRATION",
    "SERVICES",
    "AlreadyRunning",
    "LocalStack",
    "Part",
    "PartFailed",
    "Ports",
]
