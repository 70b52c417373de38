"""Reading a request's body as a stream."""

from flask import Flask

from app.web.streaming import body_reader


def test_a_sender_has_so_much_time_and_may_come_again() -> None:
    """What came before is kept."""
    app = Flask("bodies")
    with app.test_request_context(method="PATCH", data=b"0123456789"):
        assert body_reader()(4) == b"0123"
        assert body_reader(within_s=0)(4) == b""
        assert body_reader()(100) == b"456789"
