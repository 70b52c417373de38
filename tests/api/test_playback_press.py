"""What a press on the page behind a playback link begins: once, and the film it was pressed for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.api.filing import Archive
from tests.api.hospital import Hospital
from tests.api.left import keep
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.records import alter
from tests.api.watching import FILM, OVER, Cinema, Watcher, another, cinema_of

HIDE = """UPDATE teleconference.recording_files SET state = 'withheld'
    WHERE recording_id = :recording AND id <> :id"""


@pytest.fixture
def cinema(archive: Archive, alice: Hospital, prosody: Prosody) -> Cinema:
    """A recording of Alice's that can be watched."""
    return cinema_of(archive, replace(alice, app=archive.app), prosody)


def test_a_press_counts_once_however_often_its_answer_is_lost(cinema: Cinema) -> None:
    """The same press again, or after a reload, has the same view for as long as that lives."""
    watcher = cinema.watcher(cinema.link(max_views=2))
    tabs = [replace(watcher, client=cinema.app.test_client()) for _ in range(3)]
    with ThreadPoolExecutor(len(tabs)) as pool:
        assert [one.status_code for one in pool.map(Watcher.press, tabs)] == [201] * 3
    watcher.begin()
    assert watcher.view == tabs[0].view
    assert (watcher.view or {})["views_left"] == 1
    assert watcher.get("bytes=0-9").get_data() == FILM[:10]
    assert len(cinema.entries("playback.started")) == 1
    another(watcher).begin()
    assert watcher.open().status_code == 200  # it is used up, and this view goes on
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert link["views"] == 2


def test_a_press_after_the_view_was_over_counts_again(cinema: Cinema) -> None:
    """A page that stays open does not make a link of one view one of many."""
    watcher = cinema.watcher(cinema.link(max_views=2)).begin()
    first = watcher.video
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    alter(cinema.services, OVER, id=link["id"])
    assert watcher.begin().video != first
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert link["views"] == 2


def test_an_address_leads_to_one_film_whatever_becomes_of_the_others(cinema: Cinema) -> None:
    """When a file before it is withheld, a player does not get the next one's bytes."""
    second = keep(cinema.services, cinema.recording, b"second film")
    watcher = cinema.watcher().begin()
    first = watcher.video
    addresses = [one["video"] for one in (watcher.view or {})["files"]]
    assert [watcher.client.get(one).get_data() for one in addresses] == [FILM, b"second film"]
    alter(cinema.services, HIDE, recording=cinema.recording, id=second.id)
    problem(watcher.client.get(first), 404, "ticket_unknown")
    assert watcher.client.get(addresses[1]).get_data() == b"second film"
