"""The calendar entry of a session, so that invitation, change and cancellation stay one event.

Source: RFC 5545 (format) and RFC 5546 (REQUEST and CANCEL: same UID, a SEQUENCE that grows).
"""

from datetime import datetime
from email.utils import parseaddr

from icalendar import Calendar, Event, vCalAddress, vText, vUri

from app.notifications.kinds import Kind
from app.notifications.notice import Notice

PRODUCT = "-//Teleconsult//Invitation//EN"
# The others would put what the calendar knows already before the reader's eyes again.
METHODS = {
    Kind.INVITATION: "REQUEST",
    Kind.RESCHEDULED: "REQUEST",
    Kind.LINK_REPLACED: "REQUEST",
    Kind.CANCELLED: "CANCEL",
}


def method_of(notice: Notice) -> str | None:
    """Return what the calendar is asked to do; None when there is nothing to enter."""
    return METHODS.get(notice.kind) if notice.planned_start else None


def entry(notice: Notice, *, mail_from: str, now: datetime) -> bytes:
    """Return the entry. A later one of the same session has the same UID and a SEQUENCE that is
    not lower; where it is the same (a new link), the newer DTSTAMP counts."""
    assert notice.planned_start is not None
    method = METHODS[notice.kind]
    event = Event()
    event.add("uid", str(notice.session_id))
    event.add("sequence", notice.sequence)
    event.add("dtstamp", now)
    event.add("dtstart", notice.planned_start)
    if notice.planned_end is not None:
        event.add("dtend", notice.planned_end)
    event.add("summary", notice.subject)
    if notice.link:
        event.add("description", notice.link)
        event.add("location", vText(notice.link))
        event.add("url", vUri(notice.link))
    event.add("status", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    event.add("organizer", _organizer(notice, mail_from))
    event.add("attendee", _attendee(notice))
    whole = Calendar()
    whole.add("prodid", PRODUCT)
    whole.add("version", "2.0")
    whole.add("method", method)
    whole.add_component(event)
    return bytes(whole.to_ical())


def _organizer(notice: Notice, mail_from: str) -> vCalAddress:
    organizer = vCalAddress(f"mailto:{parseaddr(mail_from)[1]}")
    organizer.params["CN"] = notice.organisation
    return organizer


def _attendee(notice: Notice) -> vCalAddress:
    attendee = vCalAddress(f"mailto:{notice.email}")
    attendee.params["CN"] = notice.name
    attendee.params["PARTSTAT"] = "NEEDS-ACTION"
    # An answer would go to an address nobody reads.
    attendee.params["RSVP"] = "FALSE"
    return attendee
