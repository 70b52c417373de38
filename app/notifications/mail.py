"""A message as an e-mail: text, HTML and, where the plan is new, a calendar entry."""

from collections.abc import Mapping
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime as format_mail_date
from email.utils import parseaddr
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.errors import Invalid
from app.notifications import calendar
from app.notifications.notice import FOLDER, Notice, words


def compose(notice: Notice, *, mail_from: str, now: datetime) -> EmailMessage:
    """Return the message. A repeat has the same Message-ID, so a mail program can drop it.

    Args:
        mail_from: the sender, as an address or as `Name <address>`.

    Raises:
        Invalid: the address of the person cannot be written into a message.
    """
    message = EmailMessage()
    _set_head(message, notice, mail_from=mail_from, now=now)
    values = _values(notice)
    message.set_content(_template("message.txt.j2", values))
    message.add_alternative(_template("message.html.j2", values), subtype="html")
    method = calendar.method_of(notice)
    if method is not None:
        entry = calendar.entry(notice, mail_from=mail_from, now=now)
        message.add_alternative(entry.decode(), subtype="calendar", params={"method": method})
        list(message.iter_parts())[-1].add_header(
            "Content-Disposition", "inline", filename="invitation.ics"
        )
    return message


def plain_text(notice: Notice) -> str:
    """Return the message as plain text."""
    return _template("message.txt.j2", _values(notice))


def _set_head(message: EmailMessage, notice: Notice, *, mail_from: str, now: datetime) -> None:
    sender = parseaddr(mail_from)[1]
    try:
        message["To"] = Address(notice.name, addr_spec=notice.email)
    except (ValueError, IndexError, MessageError) as error:
        raise Invalid("This is not an e-mail address.", code="address_invalid") from error
    message["From"] = mail_from
    message["Subject"] = notice.subject
    message["Date"] = format_mail_date(now)
    message["Message-ID"] = f"<{notice.id}@{sender.partition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    if notice.is_urgent:
        message["Importance"] = "high"


def _values(notice: Notice) -> dict[str, object]:
    return {
        "language": notice.language,
        "subject": notice.subject,
        "lead": notice.lead,
        "words": words(notice.language),
        "name": notice.name,
        "link": notice.link,
        "when": notice.when,
    }


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
