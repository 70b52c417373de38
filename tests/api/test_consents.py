"""The ledger of consents: asked, given, refused, withdrawn; with which text, over which channel."""

from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.consents.texts import LANGUAGES, digest, ours
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of, code_of, events_of, types_of

OURS = ours("recording", "en")


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    return alice.new_session(recording="planned")


@pytest.fixture
def patient(alice: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    return alice.invite(session["id"])


def question(app: Flask, person: dict[str, Any], **query: str) -> dict[str, Any]:
    """Ask as a page does."""
    query = {"language": "en", **query}
    answer = app.test_client().get(f"/j/{code_of(person)}/consents", query_string=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def say(app: Flask, person: dict[str, Any], act: str, sha: str = OURS.sha256) -> Any:
    """Answer as a page does."""
    body = {"act": act, "text_sha256": sha}
    return app.test_client().post(f"/j/{code_of(person)}/consents", json=body)


def state(app: Flask, person: dict[str, Any]) -> dict[str, Any]:
    """Return how a person stands to being recorded, as their page sees it."""
    seen = app.test_client().get(f"/j/{code_of(person)}/state").get_json()["recording"]
    return dict(seen)


def consents(hospital: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    return dict(hospital.get(f"/sessions/{session['id']}/consents").get_json())


def test_a_page_asks_once_and_keeps_the_answer(
    app: Flask, alice: Hospital, services: Services, session: Any, patient: Any
) -> None:
    """Leaving and coming back asks nothing twice."""
    assert state(app, patient) == {
        "state": "",
        "reason": None,
        "consent": "missing",
        "is_asked": True,
    }
    asked = [question(app, patient) for _ in range(2)]
    assert asked[0] == asked[1]
    assert (asked[0]["text"], asked[0]["sha256"]) == (OURS.text, digest(OURS.text))
    for _ in range(2):
        assert say(app, patient, "given").get_json() == {"state": "given"}
    assert state(app, patient) == {
        "state": "",
        "reason": None,
        "consent": "given",
        "is_asked": False,
    }
    assert types_of(services, session["id"])[-2:] == ["consent.asked", "consent.given"]
    acts = consents(alice, session)["acts"]
    told = [(a["number"], a["act"], a["channel"], a["language"], a["text_sha256"]) for a in acts]
    assert told == [
        (1, "asked", "page", "en", OURS.sha256),
        (2, "given", "page", "en", OURS.sha256),
    ]
    entry = next(
        e for e in audit_of(services, alice.organisation_id) if e.action == "consent.given"
    )
    assert (entry.actor_kind, entry.actor_id) == ("participant", patient["id"])
    assert entry.detail["text_sha256"] == OURS.sha256


def test_a_word_can_be_changed_and_every_word_is_kept(
    app: Flask, alice: Hospital, session: Any, patient: Any
) -> None:
    """The last counts."""
    for act in ("refused", "given", "withdrawn", "given"):
        assert say(app, patient, act).get_json() == {"state": act}
        assert state(app, patient)["consent"] == act
    found = consents(alice, session)
    assert [a["act"] for a in found["acts"]] == ["refused", "given", "withdrawn", "given"]
    assert [s["state"] for s in found["standings"]] == ["given"]


def test_a_new_text_asks_again_who_read_that_language(
    app: Flask, alice: Hospital, session: Any, patient: Any
) -> None:
    """And nobody can agree to the old one any more."""
    other = alice.invite(session["id"])
    german = question(app, other, language="de")
    say(app, patient, "given")
    say(app, other, "given", german["sha256"])
    new = alice.post("/consent-texts", json={"language": "en", "text": "May we record?"})
    assert (new.status_code, new.get_json()["version"]) == (201, 1)
    assert state(app, patient)["consent"] == "missing"
    assert state(app, other)["consent"] == "given"
    outdated = say(app, patient, "given")
    assert (outdated.status_code, outdated.get_json()["code"]) == (409, "consent_text_outdated")
    assert say(app, patient, "given", question(app, patient)["sha256"]).status_code == 200
    assert [s["state"] for s in consents(alice, session)["standings"]] == ["given", "given"]
    texts = {t["language"]: t for t in alice.get("/consent-texts").get_json()["items"]}
    assert set(texts) == set(LANGUAGES)
    assert (texts["en"]["text"], texts["de"]["version"]) == ("May we record?", 0)


def test_an_organisation_may_go_back_to_an_earlier_text(
    app: Flask, alice: Hospital, patient: Any
) -> None:
    for words in ("May we record?", "Please let us record.", "May we record?"):
        alice.post("/consent-texts", json={"language": "en", "text": words})
    asked = question(app, patient)
    assert asked["text"] == "May we record?"
    assert say(app, patient, "given", asked["sha256"]).status_code == 200
    outdated = say(app, patient, "given", digest("Please let us record."))
    assert outdated.get_json()["code"] == "consent_text_outdated"


def test_a_question_is_noted_once_per_text(
    app: Flask, alice: Hospital, session: Any, patient: Any
) -> None:
    """However often somebody changes the language; after an answer it is a new question."""
    for _ in range(3):
        question(app, patient, language="en")
        question(app, patient, language="de")
    assert [a["language"] for a in consents(alice, session)["acts"]] == ["en", "de"]
    say(app, patient, "given")
    alice.post("/consent-texts", json={"language": "en", "text": "May we record?"})
    for language in ("en", "de"):
        question(app, patient, language=language)
    acts = [a["act"] for a in consents(alice, session)["acts"]]
    assert acts == ["asked", "asked", "given", "asked", "asked"]


def test_the_same_text_again_is_no_new_one(alice: Hospital) -> None:
    bodies = [{"language": "fr", "text": text} for text in ("Un", "Un", "Deux")]
    made = [alice.post("/consent-texts", json=body).get_json()["version"] for body in bodies]
    assert made == [1, 1, 2]


def test_what_makes_no_sense_is_refused(app: Flask, alice: Hospital, patient: Any) -> None:
    """A text nobody was shown, and taking back what was never given."""
    unknown = say(app, patient, "given", "0" * 64)
    assert (unknown.status_code, unknown.get_json()["code"]) == (422, "consent_text_unknown")
    for before in (None, "refused"):
        if before:
            say(app, patient, before)
        answer = say(app, patient, "withdrawn")
        assert (answer.status_code, answer.get_json()["code"]) == (409, "consent_not_given")


def test_a_consent_on_paper_is_registered(alice: Hospital, session: Any, patient: Any) -> None:
    """By the hospital's program, with the text that was signed."""
    body = {
        "participant_id": patient["id"],
        "act": "given",
        "channel": "paper",
        "text_sha256": OURS.sha256,
    }
    answer = alice.post(f"/sessions/{session['id']}/consents", json=body)
    assert (answer.status_code, answer.get_json()["channel"]) == (201, "paper")
    assert consents(alice, session)["standings"][0]["state"] == "given"


def test_who_was_removed_or_whose_session_is_over_agrees_to_nothing(
    app: Flask, alice: Hospital, session: Any, patient: Any
) -> None:
    """But everybody may take back their word as long as they are known."""
    other = alice.invite(session["id"])
    say(app, other, "given")
    alice.delete(f"/sessions/{session['id']}/participants/{patient['id']}")
    path = f"/sessions/{session['id']}/consents"
    body = {"participant_id": patient["id"], "act": "given", "text_sha256": OURS.sha256}
    assert alice.post(path, json=body).get_json()["code"] == "participant_removed"
    alice.post(f"/sessions/{session['id']}/end", json={})
    body["participant_id"] = other["id"]
    assert alice.post(path, json=body).get_json()["code"] == "session_ended"
    assert alice.post(path, json={**body, "act": "withdrawn"}).status_code == 201


def test_the_answers_are_fhir_consents(
    app: Flask, alice: Hospital, session: Any, patient: Any
) -> None:
    """Read by a FHIR library; only the last word of a person can be active."""
    empty = alice.get(f"/sessions/{session['id']}/consents/fhir").get_json()
    assert Bundle.model_validate(empty).entry is None
    other = alice.invite(session["id"], "doctor")
    question(app, patient)
    for act in ("given", "withdrawn", "given"):
        say(app, patient, act)
    say(app, other, "refused")
    answer = alice.get(f"/sessions/{session['id']}/consents/fhir")
    assert answer.mimetype == "application/fhir+json"
    entries: Any = Bundle.model_validate(answer.get_json(force=True)).entry
    resources = [entry.resource for entry in entries]
    assert [r.status for r in resources] == ["inactive", "inactive", "active", "rejected"]
    assert [r.provision.type for r in resources] == ["permit", "deny", "permit", "deny"]
    assert {r.sourceAttachment.language for r in resources} == {"en"}
    assert all(OURS.sha256 in r.policy[0].uri for r in resources)


def test_reading_is_on_record(alice: Hospital, services: Services, session: Any) -> None:
    consents(alice, session)
    alice.get(f"/sessions/{session['id']}/consents/fhir")
    entries = [e.action for e in audit_of(services, alice.organisation_id)]
    assert entries.count("consents.read") == 2


def test_nobody_changes_a_line_of_the_ledger(
    app: Flask, services: Services, session: Any, patient: Any
) -> None:
    """The service may only add; events hold no text and no name."""
    say(app, patient, "given")
    for statement in (
        "UPDATE teleconference.consents SET act = 'given'",
        "DELETE FROM teleconference.consent_texts",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), services.database.begin() as db:
            db.execute(text(statement))
    told = events_of(services, session["id"])[-1].data
    assert OURS.text not in str(told)
    assert patient["display_name"] not in str(told)
