"""Jitsi's own file sharing on the real stack: Prosody, API, relay, worker, scanner."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
import requests
from sqlalchemy import select

from app.audit.models import AuditEntry
from app.clock import utc_now
from app.localstack import names
from tests.api import samples
from tests.api.records import orders_of
from tests.flow.clinic import Clinic, until
from tests.flow.jitsi_sharing import DISCO, JITMEET, Sharer, sharing, told
from tests.flow.xmpp_client import Refused, Stanza, Wanted, logged_in

CHECKED_WITHIN_S = 30.0


def files_of(sharer: Sharer) -> list[dict[str, Any]]:
    """Return the files of a session as the hospital sees them."""
    path = f"/sessions/{sharer.guest.session['id']}/files"
    return list(sharer.clinic.do("GET", path).json()["items"])


def body_of(stanza: Stanza) -> str:
    """Return what somebody writes in a stanza."""
    return stanza.findtext("{jabber:client}body") or ""


def saying(event: str) -> Wanted:
    """Return what tells whether the component says this in a stanza."""
    return lambda stanza: told(stanza).get("event") == event


def page_shows(sharer: Sharer) -> list[str]:
    """Return the names of the files in somebody's panel."""
    url = f"{sharer.clinic.stack.api_url}/j/{sharer.guest.code}/files"
    return [one["name"] for one in requests.get(url, timeout=10).json()["files"]]


def test_a_shared_file_comes_to_who_may_see_it_once_it_was_checked(clinic: Clinic) -> None:
    """From the button to the others' lists and the panel; an interpreter hears nothing of a
    picture, and whoever comes later sees what is there."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient", "interpreter") as people:
            doctor, patient, interpreter = people
            # Jitsi's client says so right after the last byte, long before the check.
            file_id = await patient.share(samples.phone_photo(), name="rash.jpg")
            added = (await doctor.hears("add", file_id))["file"]
            assert (added["fileName"], added["fileType"]) == ("rash.jpg", "jpg")
            assert added["authorParticipantName"] == "Some patient"
            assert added["authorParticipantId"] == patient.client.nick
            await doctor.client.until(lambda s: body_of(s) == "A new file is here: picture.")
            answer = await doctor.request("GET", f"/{file_id}")
            fetched = await asyncio.to_thread(requests.get, answer.json()["presignedUrl"])
            assert fetched.content.startswith(b"\xff\xd8")
            assert b"Exif" not in fetched.content
            assert page_shows(doctor) == ["rash.jpg"]
            assert (await interpreter.request("GET", f"/{file_id}")).status_code == 404
            for silent in (patient, interpreter):
                await silent.catches_up()
                assert silent.heard() == []
            nurse = clinic.guest("nurse", doctor.guest.session)
            async with logged_in(clinic.port, nurse.token) as client:
                late = Sharer(clinic, nurse, await client.enter(nurse.room))
                await late.hears("add", file_id)

    asyncio.run(try_it())


def test_a_file_of_the_panel_is_in_the_list_and_goes_from_both(clinic: Clinic) -> None:
    """Deleted by the hospital, or by a moderator's button."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            files = f"/sessions/{doctor.guest.session['id']}/files"
            ids = []
            for number in range(2):
                content = samples.pdf(b"%d" % number)
                body = {"kind": "report", "name": "letter.pdf", "size_bytes": len(content)}
                announced = clinic.hospital.make(files, body)
                path = announced["upload_url"].partition("/uploads/")[2]
                headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
                url = f"{clinic.stack.api_url}/uploads/{path}"
                await asyncio.to_thread(requests.patch, url, content, headers=headers)
                ids.append(announced["id"])
                await patient.hears("add", ids[-1])
            await asyncio.to_thread(clinic.do, "DELETE", f"{files}/{ids[0]}")
            await patient.hears("remove", ids[0])
            # As Jitsi's client does it: from its own list first, and then the file.
            await doctor.say("remove", file_id=ids[1])
            assert (await doctor.request("DELETE", f"/{ids[1]}")).status_code == 200
            await patient.hears("remove", ids[1])
            assert page_shows(patient) == []

    asyncio.run(try_it())


def test_what_somebody_may_not_delete_comes_back_to_their_list(clinic: Clinic) -> None:
    """Their client has taken it from there without asking."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            file_id = await doctor.share(samples.pdf(), name="a.pdf")
            await patient.hears("add", file_id)
            came = len(patient.client.seen)
            await patient.say("remove", file_id=file_id)
            answer = await patient.request("DELETE", f"/{file_id}")
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
            await patient.client.until(lambda stanza: file_id in "".join(stanza.itertext()), came)

    asyncio.run(try_it())


def test_three_files_at_once_are_all_taken(clinic: Clinic) -> None:
    """As Jitsi's client sends what somebody chose: with one pass, and none of it twice. One comes
    while two wait; a repeat of one is read to its end."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor") as (doctor,):
            shown, meeting = await doctor.fetch_pass(), await doctor.meeting()
            forms = [form_with(samples.pdf(size=5_000_000)) for _ in range(3)]
            sent = [doctor.request_with(shown, meeting, "POST", files=form) for form in forms]
            assert [one.status_code for one in await asyncio.gather(*sent)] == [200] * 3
            again = await doctor.request_with(shown, meeting, "POST", files=forms[0])
            assert again.status_code == 200
            assert len(files_of(doctor)) == 3

    asyncio.run(try_it())


def test_what_changed_while_the_service_was_away_is_shown_when_it_is_back(clinic: Clinic) -> None:
    """The room was told that there is something new, and could not ask what."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            form = form_with(samples.pdf())
            assert (await doctor.request("POST", files=form)).status_code == 200
            session_id = doctor.guest.session["id"]
            api = clinic.stack.part("api")
            api.kill()
            try:
                assert await asyncio.to_thread(
                    until, lambda: was_ordered(clinic, session_id), CHECKED_WITHIN_S
                )
            finally:
                api.start()
            await patient.hears("add", json.loads(form["metadata"][1])["fileId"])

    asyncio.run(try_it())


def form_with(content: bytes) -> dict[str, Any]:
    """Return a form as Jitsi's client sends it, with a file of a new id."""
    said = {"fileId": str(uuid4()), "fileName": "a.pdf", "fileSize": len(content)}
    return {"metadata": (None, json.dumps(said)), "file": ("a.pdf", content)}


def was_ordered(clinic: Clinic, session_id: str) -> bool:
    """Tell whether the room has carried out that there is something new."""
    found = [one for one in orders_of(clinic.services, session_id) if one.name == "files"]
    return bool(found) and found[-1].state == "confirmed"


def test_a_pass_lasts_until_a_client_asks_for_the_next(clinic: Clinic) -> None:
    """Whoever asks again and again gets the same one; the audit log has it once."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor") as (doctor,):
            assert len({await doctor.fetch_pass() for _ in range(5)}) == 1
            assert times_noted(clinic, doctor.guest.session["id"], "file.pass_issued") == 1

    asyncio.run(try_it())


def test_a_flood_of_news_asks_the_service_seldom(clinic: Clinic) -> None:
    """A client may invent as many files as it likes; each is taken off its list in the end."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            began = utc_now()
            invented = [str(uuid4()) for _ in range(50)]
            for file_id in invented:
                said = {"fileId": file_id, "fileName": "x", "fileSize": 1}
                await patient.say("add", content=json.dumps(said))
                await patient.catches_up()
            for file_id in invented:
                await patient.hears("remove", file_id)
            took_s = (utc_now() - began).total_seconds()
            assert times_noted(clinic, doctor.guest.session["id"], "file.listed") <= took_s + 3

    asyncio.run(try_it())


def times_noted(clinic: Clinic, session_id: str, action: str) -> int:
    """Return how often the audit log says this of a session."""
    noted = select(AuditEntry.id).where(
        AuditEntry.session_id == session_id, AuditEntry.action == action
    )
    with clinic.services.database.begin() as db:
        return len(db.scalars(noted).all())


def test_invented_files_are_shown_to_nobody(clinic: Clinic) -> None:
    """One that was never sent, another room's, and one of somebody's who may share nothing."""

    async def try_it() -> None:
        async with (
            sharing(clinic, "doctor", "patient", "observer") as (doctor, patient, observer),
            sharing(clinic, "doctor") as (stranger,),
        ):
            theirs = await stranger.share(samples.pdf(), name="theirs.pdf")
            assert until(lambda: files_of(stranger)[0]["state"] == "available", CHECKED_WITHIN_S)
            for invented in (str(uuid4()), theirs):
                said = {"fileId": invented, "fileName": "virus.exe", "fileSize": 1}
                await patient.say("add", content=json.dumps(said))
                # The client that said so is put right.
                await patient.hears("remove", invented)
            refused = await observer.say("add", content=json.dumps({"fileId": str(uuid4())}))
            answer = await observer.client.until(lambda stanza: stanza.get("id") == refused)
            assert answer.get("type") == "error"
            for nonsense in ("", "[]", "{", '{"fileId": 7}', '"x"'):
                await patient.say("add", content=nonsense)
            await patient.say("list")
            content = json.dumps({"type": "file-sharing", "event": "add", "file": {"fileId": "x"}})
            forged = f'<json-message xmlns="{JITMEET}">{content}</json-message>'
            room = f'<message to="{names.FILE_SHARING}">{forged}</message>'
            await patient.client.send(room)
            await doctor.catches_up()
            assert doctor.heard() == []
            assert files_of(doctor) == []

    asyncio.run(try_it())


def test_a_pass_is_for_who_is_in_the_room(clinic: Clinic) -> None:
    """Neither before nor after; and not for another meeting."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            shown, meeting = await patient.fetch_pass(), await patient.meeting()
            other = await patient.request_with(shown, str(uuid4()), "GET", f"/{uuid4()}")
            assert (other.status_code, other.json()["code"]) == (404, "meeting_unknown")
            outside = clinic.guest("nurse", doctor.guest.session)
            async with logged_in(clinic.port, outside.token) as client:
                with pytest.raises(Refused):
                    await Sharer(clinic, outside, client).fetch_pass()
            began = utc_now()
            await asyncio.to_thread(clinic.remove, patient.guest)
            again = await patient.request_with(shown, meeting, "GET", f"/{uuid4()}")
            assert (again.status_code, again.json()["code"]) == (403, "participant_removed")
            clinic.audited(began, code="participant_removed", by="jitsi")

    asyncio.run(try_it())


def test_who_may_see_less_during_the_call_loses_it_from_their_list(clinic: Clinic) -> None:
    """And gets it back with the permission."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            file_id = await doctor.share(samples.pdf(), name="a.pdf")
            await patient.hears("add", file_id)
            for may_see, event in ((False, "remove"), (True, "add")):
                came = len(patient.client.seen)
                etag = clinic.do("GET", patient.guest.path).headers["ETag"]
                await asyncio.to_thread(
                    clinic.do,
                    "PATCH",
                    patient.guest.path,
                    json={"permissions": {"see_documents": may_see}},
                    headers={"If-Match": etag},
                )
                await patient.client.until(saying(event), came)
            assert patient.heard() == [("add", file_id), ("remove", file_id), ("add", file_id)]

    asyncio.run(try_it())


def test_nothing_is_shown_while_the_scanner_is_away_or_when_it_finds_something(
    clinic: Clinic,
) -> None:
    """The sender is told honestly: it waits; and then, it was refused."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor", "patient") as (doctor, patient):
            scanner = clinic.stack.part("clamd")
            scanner.kill()
            file_id = await patient.share(samples.eicar(samples.pdf()), name="a.pdf")
            waits = [("scanning", "scanner_unavailable")]
            assert until(
                lambda: [(f["state"], f["reason"]) for f in files_of(patient)] == waits,
                CHECKED_WITHIN_S,
            )
            answer = await patient.request("GET", f"/{file_id}")
            assert (answer.status_code, answer.json()["code"]) == (409, "file_scanning")
            scanner.start()
            await patient.client.until(lambda s: "checked and refused" in body_of(s))
            await patient.hears("remove", file_id)
            await doctor.catches_up()
            assert doctor.heard() == []

    asyncio.run(try_it())


def test_a_client_is_told_where_files_are_shared(clinic: Clinic) -> None:
    """As it looks for each of Jitsi's components."""

    async def try_it() -> None:
        async with logged_in(clinic.port, clinic.guest().token) as client:
            answer = await client.ask("get", names.DOMAIN, f'<query xmlns="{DISCO}"/>')
            found = [each.attrib for each in answer.iter(f"{{{DISCO}}}identity")]
            assert {
                "category": "component", "type": "file-sharing", "name": names.FILE_SHARING
            } in found  # fmt: skip

    asyncio.run(try_it())
