"""The invitation e-mail: text, HTML and a calendar entry, in the person's language.

It names the person invited and the hospital, nobody else and no reason: e-mail is read by others.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime as format_mail_date
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from babel.dates import format_datetime
from icalendar import Calendar, Event, vCalAddress, vText, vUri
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.errors import Invalid

FOLDER = Path(__file__).parent / "templates"
DEFAULT_LANGUAGE = "en"
PRODUCT = "-//Teleconsult//Invitation//EN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """All that the message says. `id` is the notification's, `sequence` the session's version."""

    id: UUID
    session_id: UUID
    sequence: int
    organisation: str
    name: str
    email: str
    locale: str
    link: str
    planned_start: datetime | None
    planned_end: datetime | None


def compose(invitation: Invitation, *, mail_from: str, now: datetime) -> EmailMessage:
    """Return the message. A repeat has the same Message-ID, so a mail program can drop it.

    Args:
        mail_from: the sender, as an address or as `Name <address>`.

    Raises:
        Invalid: the address of the person cannot be written into a message.
    """
    language = _language(invitation.locale)
    subject = _fill(words(language)["subject"], invitation)
    message = EmailMessage()
    _set_head(message, invitation, subject, mail_from=mail_from, now=now)
    values = _values(invitation, language, subject)
    message.set_content(_template("invitation.txt.j2", values))
    message.add_alternative(_template("invitation.html.j2", values), subtype="html")
    if invitation.planned_start is not None:
        entry = calendar(invitation, subject, mail_from=mail_from, now=now)
        message.add_alternative(entry.decode(), subtype="calendar", params={"method": "REQUEST"})
        list(message.iter_parts())[-1].add_header(
            "Content-Disposition", "inline", filename="invitation.ics"
        )
    return message


def calendar(invitation: Invitation, subject: str, *, mail_from: str, now: datetime) -> bytes:
    """Return the calendar entry; a later one with the same UID and a higher SEQUENCE replaces it.

    Source: RFC 5545 and RFC 5546 (METHOD:REQUEST needs an organizer and an attendee).
    """
    assert invitation.planned_start is not None
    entry = Event()
    entry.add("uid", str(invitation.session_id))
    entry.add("sequence", invitation.sequence)
    entry.add("dtstamp", now)
    entry.add("dtstart", invitation.planned_start)
    if invitation.planned_end is not None:
        entry.add("dtend", invitation.planned_end)
    entry.add("summary", subject)
    entry.add("description", invitation.link)
    entry.add("location", vText(invitation.link))
    entry.add("url", vUri(invitation.link))
    entry.add("status", "CONFIRMED")
    entry.add("organizer", _organizer(invitation, mail_from))
    entry.add("attendee", _attendee(invitation))
    whole = Calendar()
    whole.add("prodid", PRODUCT)
    whole.add("version", "2.0")
    whole.add("method", "REQUEST")
    whole.add_component(entry)
    return bytes(whole.to_ical())


@cache
def words(language: str) -> Mapping[str, str]:
    """Return the sentences of one language."""
    everything = json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))
    return MappingProxyType(everything[language])


def _set_head(
    message: EmailMessage, invitation: Invitation, subject: str, *, mail_from: str, now: datetime
) -> None:
    sender = parseaddr(mail_from)[1]
    try:
        message["To"] = Address(invitation.name, addr_spec=invitation.email)
    except (ValueError, IndexError, MessageError) as error:
        raise Invalid("This is not an e-mail address.", code="address_invalid") from error
    message["From"] = mail_from
    message["Subject"] = subject
    message["Date"] = format_mail_date(now)
    message["Message-ID"] = f"<{invitation.id}@{sender.partition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"


def _values(invitation: Invitation, language: str, subject: str) -> dict[str, object]:
    start = invitation.planned_start
    return {
        "language": language,
        "subject": subject,
        "words": words(language),
        "name": invitation.name,
        "organisation": invitation.organisation,
        "link": invitation.link,
        # We do not know the reader's time zone; the calendar entry shows it in theirs.
        "when": format_datetime(start, "long", locale=language) if start else "",
    }


def _organizer(invitation: Invitation, mail_from: str) -> vCalAddress:
    organizer = vCalAddress(f"mailto:{parseaddr(mail_from)[1]}")
    organizer.params["CN"] = invitation.organisation
    return organizer


def _attendee(invitation: Invitation) -> vCalAddress:
    attendee = vCalAddress(f"mailto:{invitation.email}")
    attendee.params["CN"] = invitation.name
    attendee.params["PARTSTAT"] = "NEEDS-ACTION"
    # An answer would go to an address nobody reads.
    attendee.params["RSVP"] = "FALSE"
    return attendee


def _fill(sentence: str, invitation: Invitation) -> str:
    return sentence.replace("{organisation}", invitation.organisation)


def _language(locale: str) -> str:
    language = locale.replace("_", "-").partition("-")[0].lower()
    known = json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))
    return language if language in known else DEFAULT_LANGUAGE


def _template(name: str, values: Mapping[str, object]) -> str:
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
