"""What the invitation says, and what it never says."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from icalendar import Calendar

from app.errors import Invalid
from app.notifications.kinds import Channel, Kind
from app.notifications.mail import compose
from app.notifications.notice import Notice

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
INVITATION = Notice(
    id=UUID("01900000-0000-7000-8000-000000000001"),
    kind=Kind.INVITATION,
    channel=Channel.EMAIL,
    session_reference="visit-1",
    participant_id=UUID("01900000-0000-7000-8000-000000000003"),
    reference="person-1",
    phone="",
    timezone="UTC",
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


def written(invitation: Notice) -> EmailMessage:
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


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_in_each_language_says_its_own_sentence_and_leaves_no_blank(
    kind: Kind, language: str
) -> None:
    """With the link as the one thing to click, except where there is nothing left to open."""
    link = "" if kind is Kind.CANCELLED else INVITATION.link
    notice = replace(INVITATION, kind=kind, locale=language, link=link)
    message = written(notice)
    html = content(message, "text/html")
    assert html.count("<a ") == (1 if link else 0)
    assert f'<html lang="{language}">' in html
    for text in (html, content(message, "text/plain"), str(message["Subject"])):
        assert not set("{}") & set(text)
    others = {replace(notice, kind=other).lead for other in Kind if other is not kind}
    assert notice.lead not in others


def test_the_time_is_the_persons_own() -> None:
    """With the zone named, so that nobody has to guess."""
    text = content(written(replace(INVITATION, timezone="Europe/Paris")), "text/plain")
    assert "Monday, 2 March 2026, 10:30 (Central European Standard Time)" in text


def test_invitation_change_and_cancellation_are_one_event_for_a_calendar() -> None:
    """RFC 5546, 3.2.2 and 3.2.5: what a client holds by UID is replaced, then taken away."""
    later = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
    moved = replace(
        INVITATION, kind=Kind.RESCHEDULED, sequence=4, planned_start=later, planned_end=None
    )
    gone = replace(moved, kind=Kind.CANCELLED, sequence=5, link="")
    held: dict[str, tuple[int, object]] = {}
    for notice, method in ((INVITATION, "REQUEST"), (moved, "REQUEST"), (gone, "CANCEL")):
        message = written(notice)
        part = next(p for p in message.walk() if p.get_content_type() == "text/calendar")
        whole = Calendar.from_ical(part.get_content())
        assert part.get_param("method") == whole["METHOD"] == method
        (event,) = whole.walk("VEVENT")
        # What RFC 5546 demands of both methods.
        assert all(name in event for name in ("DTSTAMP", "ORGANIZER", "ATTENDEE", "SEQUENCE"))
        uid = str(event["UID"])
        assert held.get(uid, (-1, None))[0] < int(str(event["SEQUENCE"]))
        held[uid] = (int(str(event["SEQUENCE"])), event.decoded("DTSTART"))
        if method == "CANCEL":
            assert str(event["STATUS"]) == "CANCELLED"
            del held[uid]
        else:
            assert held == {uid: (notice.sequence, notice.planned_start)}
    assert held == {}


@pytest.mark.parametrize("kind", [Kind.REMINDER, Kind.STARTED, Kind.DISCONNECTED])
def test_what_changes_no_plan_brings_no_calendar_entry(kind: Kind) -> None:
    """A calendar would show the same thing as new."""
    kinds = {part.get_content_type() for part in written(replace(INVITATION, kind=kind)).walk()}
    assert "text/calendar" not in kinds


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "a b@example.org"])
def test_what_is_no_address_is_refused_for_good(email: str) -> None:
    """No attempt will make it one."""
    with pytest.raises(Invalid) as caught:
        compose(replace(INVITATION, email=email), mail_from="x@example.org", now=NOW)
    assert caught.value.code == "address_invalid"
