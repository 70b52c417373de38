"""What all finished stays add up to, so that the figures need no sum over every stay there was."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class AttendanceTotals(Base):
    """The one row of sums. `count_stays` moves finished stays into it (migration 0020)."""

    __tablename__ = "attendance_totals"

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default="true")
    stays: Mapped[int] = mapped_column(BigInteger)
    # Those that ended by a lost connection.
    failures: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
