"""Invitations reach people over real SMTP, in their language, with a link that opens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from hashlib import sha256
from threading import Event
from uuid import UUID

from icalendar import Calendar
from sqlalchemy import select

from app.audit.service import SERVICE
from app.clock import utc_now
from app.errors import Unavailable
from app.localstack import LocalStack
from app.notifications.models import Notification
from app.participants.models import Link
from app.participants.seats import code_hash
from app.sessions import service as sessions
from tests.flow.delivery import (
    Hospital,
    Receiver,
    eventually,
    hospital,
    receiver,
)
from workers.jobs.context import JobContext, hold
from workers.jobs.messages import send_mail
from workers.jobs.wakeups import SEND, Wakeups, connect

__all__ = ["hospital", "receiver"]


def mails_to(stack: LocalStack, address: str) -> list[EmailMessage]:
    """Return the mails the server took in for one address, oldest first."""
    parser = BytesParser(policy=policy.default)
    mails = [parser.parsebytes(path.read_bytes()) for path in stack.mail.mails()]
    return [mail for mail in mails if mail["X-Envelope-To"] == address]


def notification(hospital: Hospital, participant_id: UUID) -> Notification | None:
    """Return the message to one participant, if the relay has made it."""
    with hospital.services.database.begin() as db:
        query = select(Notification).where(
            Notification.participant_id == participant_id, Notification.kind == "invitation"
        )
        return db.scalars(query).one_or_none()


def state(hospital: Hospital, participant_id: UUID) -> str | None:
    """Return how far the message to one participant is."""
    found = notification(hospital, participant_id)
    return found.state if found else None


def test_an_invitation_holds_the_personal_link_and_a_calendar_entry(
    hospital: Hospital, delivery_stack: LocalStack
) -> None:
    """In German, because the patient reads German."""
    session = hospital.session(planned_in=timedelta(days=1))
    patient = hospital.invite(session, "paula@example.org", locale="de")

    eventually(lambda: bool(mails_to(delivery_stack, "paula@example.org")), "the mail")
    (mail,) = mails_to(delivery_stack, "paula@example.org")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "Guten Tag Päula Example" in text
    assert mail["Subject"] == "Ihre Videosprechstunde bei Test Hospital"

    code = text.partition("/j/")[2].split()[0]
    assert f"/j/{code}" in html
    with hospital.services.database.begin() as db:
        link = db.scalars(select(Link).where(Link.participant_id == patient)).one()
    assert link.code_hash == code_hash(code) == sha256(code.encode()).digest()

    entry = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert entry.get_param("method") == "REQUEST"
    (event,) = Calendar.from_ical(entry.get_content()).walk("VEVENT")
    assert str(event["UID"]) == str(session.id)
    assert event["SEQUENCE"] == session.version
    assert event.decoded("DTSTART") == session.planned_start.replace(microsecond=0)  # type: ignore[union-attr]
    eventually(lambda: state(hospital, patient) == "sent", "the record")


def test_who_has_no_address_gets_no_message(hospital: Hospital) -> None:
    """The hospital hands the link over itself."""
    session = hospital.session()
    silent = hospital.invite(session, None)
    loud = hospital.invite(session, "next@example.org")

    eventually(lambda: state(hospital, loud) == "sent", "the other message")
    assert notification(hospital, silent) is None


def test_a_mail_server_that_was_away_gets_the_message_later(
    hospital: Hospital, delivery_stack: LocalStack
) -> None:
    """Nothing is lost while it is down, and the repeat has the same Message-ID."""
    delivery_stack.mail.stop()
    patient = hospital.invite(hospital.session(), "later@example.org")

    def was_tried() -> bool:
        found = notification(hospital, patient)
        return found is not None and found.last_error == "no_connection"

    eventually(was_tried, "an attempt")
    delivery_stack.mail.start()
    eventually(lambda: state(hospital, patient) == "sent", "the second attempt, after about 5 s")
    (mail,) = mails_to(delivery_stack, "later@example.org")
    sent = notification(hospital, patient)
    assert sent is not None
    assert mail["Message-ID"].startswith(f"<{sent.id}@")


@contextmanager
def silent_mail_server(stack: LocalStack) -> Iterator[None]:
    """Have a server in place of the real one that takes connections and says nothing."""
    stack.mail.stop()
    with socket.create_server(("127.0.0.1", stack.mail.port)):
        yield
    stack.mail.start()


def test_a_mail_server_that_hangs_holds_up_no_webhook(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack
) -> None:
    """One worker process; each message would keep it for a quarter of a minute."""
    hospital.subscribe(receiver, ["session.updated"])
    session = hospital.session()
    with silent_mail_server(delivery_stack):
        people = [hospital.invite(session, f"hang{n}@example.org") for n in range(4)]
        eventually(lambda: state(hospital, people[-1]) == "pending", "the messages")
        for number in range(1, 6):
            hospital.happen(session.id)
            eventually(
                lambda n=number: len(receiver.accepted()) == n,  # type: ignore[misc]
                "a webhook",
                within_s=10,
            )
    eventually(lambda: {state(hospital, p) for p in people} == {"sent"}, "the mail, later")


class SilentMailer:
    """A mailer whose server never answers, without the wait."""

    asked = 0

    def send(self, message: EmailMessage) -> None:
        """Count the attempt."""
        self.asked += 1
        raise Unavailable("No answer in time.", code="no_answer")


def test_a_silent_mail_server_is_left_alone_for_a_while(
    hospital: Hospital, delivery_stack: LocalStack
) -> None:
    """It is one server for all messages: the others are neither tried nor queued meanwhile."""
    worker = delivery_stack.part("worker")
    worker.stop()
    session = hospital.session()
    people = [hospital.invite(session, f"silent{n}@example.org") for n in range(3)]
    eventually(lambda: all(state(hospital, p) for p in people), "the messages")
    waiting = [found.id for p in people if (found := notification(hospital, p))]
    mailer = SilentMailer()
    with connect(delivery_stack.redis.url) as redis:
        wakeups = Wakeups(redis)
        hold(JobContext(replace(hospital.services, mailer=mailer), wakeups, Event()))
        for message in waiting:
            send_mail(str(message))
        redis.delete("rq:queue:mail")
        wakeups.wake(SEND, waiting)
        assert (mailer.asked, redis.llen("rq:queue:mail")) == (1, 0)

        wakeups.answered(SEND, waiting[0])
    worker.start()
    eventually(lambda: {state(hospital, p) for p in people} == {"sent"}, "the mail, later")


def test_nobody_is_invited_to_a_session_that_is_over(
    hospital: Hospital, delivery_stack: LocalStack
) -> None:
    """It was cancelled before the message could be sent."""
    delivery_stack.mail.stop()
    session = hospital.session(planned_in=timedelta(hours=2))
    patient = hospital.invite(session, "cancelled@example.org")
    eventually(lambda: state(hospital, patient) == "pending", "the message")
    with hospital.services.database.begin(hospital.id) as db:
        sessions.cancel(
            db, organisation_id=hospital.id, session_id=session.id, actor=SERVICE,
            reason="test", now=utc_now(),
        )  # fmt: skip
    delivery_stack.mail.start()

    eventually(lambda: state(hospital, patient) == "dropped", "the decision")
    invitation = notification(hospital, patient)
    assert invitation is not None
    # Another message may have said by now that it was cancelled.
    for mail in mails_to(delivery_stack, "cancelled@example.org"):
        assert not mail["Message-ID"].startswith(f"<{invitation.id}@")
        assert "/j/" not in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_workers_and_relays_killed_under_load_lose_no_invitation(
    hospital: Hospital, delivery_stack: LocalStack
) -> None:
    """kill -9 of both while thirty people are invited; a repeat is recognisable."""
    session = hospital.session()
    people = [f"person{n}@example.org" for n in range(30)]

    for n, address in enumerate(people):
        hospital.invite(session, address)
        if n % 10 == 5:
            for name in ("worker", "relay"):
                delivery_stack.part(name).kill()
                delivery_stack.part(name).start()

    eventually(lambda: all(mails_to(delivery_stack, address) for address in people), "all mails")
    for address in people:
        assert len({mail["Message-ID"] for mail in mails_to(delivery_stack, address)}) == 1
