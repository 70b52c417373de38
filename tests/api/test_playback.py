"""Watching a recording with a link: whom it lets in, what it hands out, and what is on record."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from app.clock import utc_now
from app.errors import Gone
from app.localstack.supervisor import LocalStack
from app.playback import delivery
from app.playback.delivery import ranges_of
from app.playback.transfer_routes import STRETCH_BYTES
from app.web.auth import issue_token
from tests.api.filing import Archive
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.prosody import Prosody, invite
from tests.api.records import alter, dump, types_of
from tests.api.watching import FILM, OVER, Cinema, another, cinema_of

PRESS = {"press_id": str(uuid4())}
HTML = {"Accept": "text/html"}
PAST = "UPDATE teleconference.playback_links SET expires_at = now() - interval '1 second'"


@pytest.fixture
def cinema(archive: Archive, alice: Hospital, prosody: Prosody) -> Cinema:
    """A recording of Alice's that can be watched."""
    return cinema_of(archive, replace(alice, app=archive.app), prosody)


def test_a_link_leads_to_the_picture(cinema: Cinema) -> None:
    """Page, press, and all of it in stretches, as a player asks."""
    watcher = cinema.watcher()
    page = watcher.open()
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "Jo Reader" in page.text
    assert cinema.call.hospital.get("/organisation").get_json()["name"] in page.text
    watcher.begin()
    got, asked = b"", 0
    while asked < len(FILM):
        answer = watcher.get(f"bytes={asked}-")
        assert (answer.status_code, answer.mimetype) == (206, "video/mp4")
        stop = min(asked + STRETCH_BYTES, len(FILM))
        assert answer.headers["Content-Range"] == f"bytes {asked}-{stop - 1}/{len(FILM)}"
        got, asked = got + answer.get_data(), stop
    assert got == FILM


def test_ranges_are_answered_as_http_wants(cinema: Cinema) -> None:
    """One stretch 206, one behind the end 416, several or none the whole; If-Range, HEAD."""
    watcher = cinema.watcher().begin()
    assert watcher.get("bytes=5-9").get_data() == FILM[5:10]
    assert watcher.get("bytes=-7").get_data() == b"the end"
    beyond = watcher.get(f"bytes={len(FILM)}-")
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(FILM)}"
    for everything in ("", "bytes=0-1,5-6", "pages=1-2"):
        answer = watcher.get(everything)
        assert (answer.status_code, answer.get_data()) == (200, FILM), everything
    etag = watcher.get("bytes=0-0").headers["ETag"]
    assert watcher.get("bytes=0-0", **{"If-Range": etag}).status_code == 206
    assert watcher.get("bytes=0-0", **{"If-Range": '"another"'}).status_code == 200
    head = watcher.client.head(watcher.video, headers={"Range": "bytes=0-0"})
    assert (head.status_code, head.content_length, head.get_data()) == (200, len(FILM), b"")
    assert head.headers["Accept-Ranges"] == "bytes"


def test_only_a_press_uses_a_link_up(cinema: Cinema) -> None:
    """A program that reads mail opens the page as often as it likes."""
    watcher = cinema.watcher(cinema.link(max_views=1))
    for _ in range(5):
        assert watcher.open().status_code == 200
        assert watcher.client.head(f"/p/{watcher.code}").status_code == 200
    watcher.begin()
    problem(another(watcher).press(), 410, "playback_used_up")
    assert watcher.get("bytes=0-9").get_data() == FILM[:10]  # what was begun goes on
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert (link["views"], link["max_views"]) == (1, 1)
    alter(cinema.services, OVER, id=link["id"])
    page = watcher.open()
    assert page.status_code == 410
    assert "used up" in page.text
    problem(watcher.press(), 410, "playback_used_up")


def test_of_many_presses_at_once_as_many_count_as_may(cinema: Cinema) -> None:
    """The session is locked, and who comes after looks again."""
    watcher = cinema.watcher(cinema.link(max_views=2))
    browsers = [another(watcher) for _ in range(5)]
    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = list(pool.map(lambda one: one.press().status_code, browsers))
    assert sorted(answers) == [201, 201, 410, 410, 410]
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert link["views"] == 2


def ended(cinema: Cinema, way: str, link: dict[str, Any]) -> None:
    """End what somebody may watch, in one of all ways."""
    hospital, call = cinema.call.hospital, cinema.call
    place = f"/sessions/{call.session['id']}"
    if way == "revoked":
        assert hospital.delete(f"{cinema.links}/{link['id']}").status_code == 200
    elif way == "expired":
        alter(cinema.services, f"{PAST} WHERE id = :id", id=link["id"])
    elif way == "deleted":
        assert hospital.delete(f"/recordings/{cinema.recording}").status_code == 200
    elif way == "held":
        assert hospital.post(f"{place}/holds", json={"reason": "authority"}).status_code == 201
    elif way == "withdrawn":
        call.say(call.doctor, "withdrawn")
    else:
        assert hospital.delete(f"{place}/participants/{call.patient.id}").status_code == 200


ENDS = {
    "revoked": (410, "playback_revoked", "no longer valid"),
    "expired": (410, "playback_expired", "has expired"),
    "deleted": (410, "recording_deleted", "has been deleted"),
    "held": (409, "playback_shut", "cannot be watched at the moment"),
    "withdrawn": (409, "playback_shut", "cannot be watched at the moment"),
    "removed": (403, "not_permitted", "cannot watch this recording any more"),
}


# What the audit log is told and the viewer is not.
WHY = {"held": "recording_held", "withdrawn": "recording_withheld"}


@pytest.mark.parametrize("way", ENDS)
def test_what_is_over_is_over_at_once_and_said_calmly(cinema: Cinema, way: str) -> None:
    """For the page, for a new press, and for the next stretch of what is being watched."""
    status, code, words = ENDS[way]
    link = cinema.link(participant_id=cinema.call.patient.id)
    watcher = cinema.watcher(link).begin()
    assert watcher.get("bytes=0-9").status_code == 206
    ended(cinema, way, link)
    for refused in (watcher.press(), watcher.get("bytes=10-19")):
        assert (refused.status_code, refused.get_json()["code"]) == (status, code)
    assert watcher.client.head(watcher.video).status_code == status
    page = watcher.open()
    assert page.status_code == status
    assert words in page.text
    assert "Some patient" not in page.text
    assert {
        one.detail["code"] for one in cinema.entries("playback.started") if one.outcome == "refused"
    } == {WHY.get(way, code)}


def test_a_stream_of_everything_ends_where_the_link_does(cinema: Cinema) -> None:
    """Who asks for no stretch gets one after the other, and each time it is looked again."""
    link = cinema.link()
    watcher = cinema.watcher(link).begin()
    answer = watcher.client.get(watcher.video, buffered=False)
    stream = answer.iter_encoded()
    got = [next(stream)]
    ended(cinema, "revoked", link)
    with pytest.raises(Gone):
        got.extend(stream)
    assert sum(map(len, got)) == STRETCH_BYTES


def test_a_hold_may_leave_the_picture_to_be_watched(cinema: Cinema) -> None:
    """It is said when it is placed; then only deleting is shut."""
    body = {"reason": "patient_request", "allows_playback": True}
    place = f"/sessions/{cinema.call.session['id']}/holds"
    assert cinema.call.hospital.post(place, json=body).status_code == 201
    assert cinema.watcher().begin().get("bytes=0-1").status_code == 206
    problem(cinema.call.hospital.delete(f"/recordings/{cinema.recording}"), 409, "legal_hold")


def test_a_ticket_is_good_for_its_own_view_alone(cinema: Cinema) -> None:
    """Another person's, an altered one, and none at all open nothing."""
    first, second = cinema.watcher().begin(), cinema.watcher().begin()
    view = first.video.split("/")[2]
    path = second.video.rsplit("/", 2)[0]
    cookie = second.client.get_cookie("teleconsult-playback", path=path)
    assert cookie is not None
    assert cookie.http_only
    stranger = cinema.app.test_client()
    for shown in (cookie.value, cookie.value[:-2], "x" * 2000, ""):
        stranger.set_cookie("teleconsult-playback", shown, path=f"/playback/{view}")
        problem(stranger.get(first.video), 404, "ticket_unknown")
    assert first.get("bytes=0-1").status_code == 206
    problem(first.client.get(f"/playback/{view}/{uuid4()}/video"), 404, "ticket_unknown")
    poster = first.video.removesuffix("video") + "poster"
    problem(first.client.get(poster), 404, "ticket_unknown")


def test_what_was_watched_is_on_record_as_stretches(cinema: Cinema) -> None:
    """Merged, whoever asked how often: one entry when a minute was quiet, one more for what came
    after; the page and HEAD are no part of it."""
    watcher = cinema.watcher().begin()
    for asked in ("bytes=0-99", "bytes=100-199", "bytes=50-149", "bytes=1000-1999"):
        watcher.get(asked)
    cinema.note(-delivery.QUIET_FOR)
    assert cinema.entries("playback.delivered") == []  # they are still watching
    cinema.note()
    (entry,) = cinema.entries("playback.delivered")
    assert entry.detail["ranges"] == [[0, 200], [1000, 2000]]
    assert entry.detail["size_bytes"] == len(FILM)
    assert (entry.actor_kind, str(entry.session_id)) == ("viewer", cinema.call.session["id"])
    cinema.note()
    assert len(cinema.entries("playback.delivered")) == 1
    watcher.get("bytes=200-999")
    watcher.client.head(watcher.video)
    cinema.note()
    assert len(cinema.entries("playback.delivered")) == 2
    assert cinema.entries("playback.delivered")[-1].detail["ranges"] == [[0, 2000]]
    (started,) = cinema.entries("playback.started")
    assert started.detail["recording_id"] == cinema.recording
    assert types_of(cinema.services, cinema.call.session["id"])[-1] == "recording.viewed"


def test_what_a_viewer_left_early_is_not_on_record_as_seen(cinema: Cinema) -> None:
    """Who goes away after the first bytes was not handed the rest."""
    watcher = cinema.watcher().begin()
    answer = watcher.client.get(watcher.video, headers={"Range": "bytes=0-"}, buffered=False)
    stream = answer.iter_encoded()
    first = next(stream)
    next(stream)
    answer.close()
    cinema.note()
    (entry,) = cinema.entries("playback.delivered")
    assert entry.detail["ranges"] == [[0, len(first)]]


def test_only_the_hash_of_a_code_is_stored(cinema: Cinema, postgres: LocalStack) -> None:
    """Neither the database nor a list has it a second time, and it is written by nobody."""
    watcher = cinema.watcher().begin()
    assert watcher.code not in dump(postgres)
    assert watcher.code not in cinema.call.hospital.get(cinema.links).text


def test_links_are_listed_and_revoked_once(cinema: Cinema) -> None:
    """Newest first; a second revocation changes nothing."""
    first, second = cinema.link(), cinema.link(participant_id=cinema.call.patient.id)
    items = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert [one["id"] for one in items] == [second["id"], first["id"]]
    assert items[0]["viewer_name"] == "Some patient"
    path = f"{cinema.links}/{first['id']}"
    revoked = cinema.call.hospital.delete(path).get_json()
    assert revoked["revoked_at"] is not None
    assert cinema.call.hospital.delete(path).get_json() == revoked
    assert len(cinema.entries("playback_link.revoked")) == 1


def test_whom_a_link_may_be_for(cinema: Cinema) -> None:
    """Somebody of the session whose part includes it, or somebody named: one of them."""
    observer = invite(cinema.services, cinema.call.hospital, cinema.call.session, "observer")
    problem(cinema.make(participant_id=observer.id), 403, "not_permitted")
    problem(cinema.make(participant_id=str(uuid4())), 404, "participant_not_found")
    both = {"participant_id": cinema.call.patient.id, "viewer_reference": "a", "viewer_name": "A"}
    problem(cinema.make(**both), 422, "viewer_not_named", "participant_id")
    nobody = cinema.call.hospital.post(cinema.links, json={"viewer_name": "A"})
    problem(nobody, 422, "viewer_not_named", "participant_id")


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_links_are_for_who_may_and_in_their_hospital(
    cinema: Cinema, charlie: Hospital, method: str
) -> None:
    """Another hospital finds no recording; a caller without the scope is refused."""
    link = cinema.link()
    path = f"{cinema.links}/{link['id']}" if method == "DELETE" else cinema.links
    body: dict[str, Any] = {"json": {"viewer_reference": "a", "viewer_name": "A"}}
    options = body if method == "POST" else {}
    assert replace(charlie, app=cinema.app).call(method, path, **options).status_code == 404
    less = replace(cinema.call.hospital, token=_token(cinema, "recordings:read"))
    assert less.call(method, path, **options).get_json()["code"] == "scope_missing"


def _token(cinema: Cinema, *scopes: str) -> str:
    return issue_token(
        client_id=cinema.call.hospital.client_id,
        organisation_id=cinema.call.hospital.organisation_id,
        scopes=scopes,
        secret=cinema.services.settings.api_token_secret[0],
        ttl_s=900,
        now=utc_now(),
    )


def test_a_code_that_nobody_has_leads_to_a_calm_page(cinema: Cinema) -> None:
    """404 for people and programs; on record as a stranger's."""
    stranger = cinema.app.test_client()
    page = stranger.get("/p/nobodyhasthis", headers=HTML)
    assert (page.status_code, "do not know this link" in page.text) == (404, True)
    problem(stranger.post("/p/nobodyhasthis/views", json=PRESS), 404, "playback_link_unknown")


def test_a_page_of_elsewhere_begins_nothing(cinema: Cinema) -> None:
    """A form of another site is refused before anything is counted."""
    watcher = cinema.watcher()
    foreign = watcher.client.post(
        f"/p/{watcher.code}/views", json=PRESS, headers={"Origin": "https://elsewhere.example"}
    )
    problem(foreign, 403, "origin_foreign")
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert link["views"] == 0


RANGES: dict[str, list[list[int]]] = {
    "{}": [],
    "{[0,5)}": [[0, 5]],
    "{[0,5),[7,9)}": [[0, 5], [7, 9]],
}


@pytest.mark.parametrize("told", RANGES)
def test_stretches_are_read_as_the_database_writes_them(told: str) -> None:
    assert ranges_of(told) == RANGES[told]
