"""What the invitation says, and what it never says."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from icalendar import Calendar

from app.errors import Invalid
from app.notifications.invitation import Invitation, compose

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
INVITATION = Invitation(
    id=UUID("01900000-0000-7000-8000-000000000001"),
    session_id=UUID("01900000-0000-7000-8000-000000000002"),
    sequence=3,
    organisation="Klinik <am> See",
    name="Zoë O'Neil",
    email="zoe@example.org",
    locale="en",
    link="https://meet.example/j/abc",
    planned_start=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    planned_end=datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
)


def written(invitation: Invitation) -> EmailMessage:
    """Compose, write to bytes and read again, as it would arrive."""
    message = compose(invitation, mail_from="Tele <no-reply@clinic.example>", now=NOW)
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def content(message: EmailMessage, kind: str) -> str:
    """Return the text of one part."""
    return next(str(p.get_content()) for p in message.walk() if p.get_content_type() == kind)


def test_it_has_text_html_and_calendar() -> None:
    """Three ways to say the same, the plainest first."""
    message = written(INVITATION)
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html", "text/calendar"]
    for kind in kinds:
        assert INVITATION.link in content(message, kind).replace("\r\n ", "")


def test_its_head_is_the_same_each_time() -> None:
    """A mail program can tell a repeat."""
    message = written(INVITATION)
    assert message["Message-ID"] == f"<{INVITATION.id}@clinic.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == "Zoë O'Neil <zoe@example.org>"
    assert "secret" not in str(message["Subject"])


def test_html_from_the_hospital_stays_text() -> None:
    """A name is never markup."""
    html = content(written(INVITATION), "text/html")
    assert "Klinik &lt;am&gt; See" in html
    assert "Zoë O&#39;Neil" in html


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("de-CH", "lädt Sie"),
        ("fr", "vous invite"),
        ("en", "invites you"),
        ("sw", "invites you"),
    ],
)
def test_it_speaks_the_persons_language(locale: str, words: str) -> None:
    """English when we do not speak it."""
    message = written(replace(INVITATION, locale=locale))
    assert words in content(message, "text/plain")


def test_the_calendar_entry_can_be_replaced_by_a_later_one() -> None:
    """RFC 5546: same UID, higher SEQUENCE."""
    entry = Calendar.from_ical(content(written(INVITATION), "text/calendar"))
    assert entry["METHOD"] == "REQUEST"
    (event,) = entry.walk("VEVENT")
    assert event["UID"] == str(INVITATION.session_id)
    assert event["SEQUENCE"] == 3
    assert event.decoded("DTSTART") == INVITATION.planned_start
    assert event.decoded("DTEND") == INVITATION.planned_end
    assert event["ATTENDEE"] == "mailto:zoe@example.org"
    assert event["ORGANIZER"] == "mailto:no-reply@clinic.example"


def test_without_a_plan_there_is_no_calendar_entry() -> None:
    """The session is open at once."""
    message = written(replace(INVITATION, planned_start=None, planned_end=None))
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    assert "When" not in content(message, "text/plain")


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "a b@example.org"])
def test_what_is_no_address_is_refused_for_good(email: str) -> None:
    """No attempt will make it one."""
    with pytest.raises(Invalid) as caught:
        compose(replace(INVITATION, email=email), mail_from="x@example.org", now=NOW)
    assert caught.value.code == "address_invalid"
