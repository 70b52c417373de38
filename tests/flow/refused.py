"""Expecting to be refused at one of the doors of a room."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.flow.xmpp_client import Refused


@contextmanager
def at_request(is_refused: bool, code: str) -> Iterator[None]:
    """Expect a conference request to be refused with this code, or to succeed."""
    if not is_refused:
        yield
        return
    with pytest.raises(Refused) as caught:
        yield
    # Jitsi clients show a text only with this condition.
    assert (caught.value.condition, caught.value.code) == ("service-unavailable", code)


@contextmanager
def at_entry(code: str, condition: str = "not-allowed") -> Iterator[None]:
    """Expect an entry to be refused."""
    with pytest.raises(Refused) as caught:
        yield
    assert (caught.value.condition, caught.value.code) == (condition, code)
