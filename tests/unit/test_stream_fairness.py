"""Nobody takes the places of all in the streams, and addresses are those the API counts by."""

from uuid import uuid4

import pytest
from starlette.requests import Request

from app.errors import Unavailable
from app.stream.door import address_of, program, reader
from app.stream.hub import MOST_OF_A_PERSON, MOST_OF_AN_ORGANISATION, Hub
from app.web.cookies import BACKGROUND


def request(*forwarded: str, **headers: str) -> Request:
    """A request that came over a proxy at 10.0.0.1."""
    lines = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    lines += [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": lines, "client": ("10.0.0.1", 1)})


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, ("6.6.6.6",), "10.0.0.1"),
        (1, ("6.6.6.6, 7.7.7.7",), "7.7.7.7"),
        (1, ("6.6.6.6", "7.7.7.7"), "7.7.7.7"),
        (2, ("6.6.6.6, 7.7.7.7, 8.8.8.8",), "7.7.7.7"),
        (2, ("7.7.7.7",), "10.0.0.1"),
        (1, (), "10.0.0.1"),
    ],
)
def test_only_our_own_proxies_are_believed(
    proxies: int, forwarded: tuple[str, ...], address: str
) -> None:
    """A client writes whatever it likes on the left."""
    assert address_of(request(*forwarded), proxies=proxies) == address


def test_a_cookie_opens_no_stream_of_events() -> None:
    """Only a token does; and only a cookie opens the clinic's, which is no sign of life."""
    shown = request(cookie="a=b", authorization="Bearer t")
    assert program(shown, proxies=0)[0] == {"authorization": "Bearer t"}
    assert reader(shown, proxies=0)[0] == {"cookie": "a=b", BACKGROUND: "1"}


def test_one_link_leaves_places_for_others() -> None:
    """However many tabs a person opens."""
    hub, session, mine = Hub(), uuid4(), uuid4()
    hub.begin(0)
    pages = [hub.join_session(session, mine) for _ in range(MOST_OF_A_PERSON)]
    with pytest.raises(Unavailable):
        hub.require_room_for_page(session, mine)
    hub.require_room_for_page(session, uuid4())
    hub.leave_session(session, pages[0])
    hub.require_room_for_page(session, mine)


def test_one_member_of_staff_leaves_places_for_others() -> None:
    """The same at the clinic's page; and its listeners are counted."""
    hub, hospital, mine = Hub(), uuid4(), uuid4()
    hub.begin(0)
    desks = [hub.join_day(hospital, mine) for _ in range(MOST_OF_A_PERSON)]
    with pytest.raises(Unavailable):
        hub.require_room_for_desk(hospital, mine)
    hub.require_room_for_desk(hospital, uuid4())
    assert hub.listeners == MOST_OF_A_PERSON
    for desk in desks:
        hub.leave_day(hospital, desk)
    assert hub.listeners == 0


def test_one_organisation_leaves_places_for_others() -> None:
    """However many programs it runs."""
    hub, mine = Hub(), uuid4()
    hub.begin(0)
    for _ in range(MOST_OF_AN_ORGANISATION):
        hub.join_events(mine, after=None, types=(), session_id=None)
    with pytest.raises(Unavailable):
        hub.require_room_for_system(mine)
    hub.require_room_for_system(uuid4())
