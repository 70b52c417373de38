"""The SMTP adapter against a real server: what is worth another try, and what is not."""

import socket
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from app.adapters.smtp import SmtpMailer
from app.errors import DomainError, Invalid, Unavailable
from app.localstack import Ports


class Moody:
    """An aiosmtpd handler that answers recipients and contents as told."""

    def __init__(self) -> None:
        self.to_recipient = "250 OK"
        self.to_content = "250 OK"
        self.taken: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """Answer one recipient."""
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Answer the content."""
        self.taken.append(envelope.content)
        return self.to_content


@pytest.fixture
def moody() -> Iterator[tuple[Moody, SmtpMailer]]:
    """A server and a mailer that uses it."""
    handler = Moody()
    ports = Ports()
    port = ports.choose()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, mailer(port)
    controller.stop()
    ports.release()


def mailer(
    port: int, host: str = "127.0.0.1", *, starttls: bool = False, timeout_s: float = 15
) -> SmtpMailer:
    """Return a mailer without login."""
    return SmtpMailer(
        host=host, port=port, username="", password="", starttls=starttls, timeout_s=timeout_s
    )


def message() -> EmailMessage:
    """Return a small message."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Grüße"
    mail.set_content("Hello")
    return mail


def refusal(sender: SmtpMailer) -> DomainError:
    """Send and return the error it must give; its text must not hold the address."""
    with pytest.raises(DomainError) as caught:
        sender.send(message())
    assert "example.org" not in caught.value.detail
    return caught.value


def test_a_message_is_handed_over(moody: tuple[Moody, SmtpMailer]) -> None:
    """The server has it."""
    server, sender = moody
    sender.send(message())
    assert b"Hello" in server.taken[0]


@pytest.mark.parametrize(
    ("recipient", "content", "kind", "code"),
    [
        ("550 no such user", "250 OK", Invalid, "smtp_550"),
        ("451 greylisted", "250 OK", Unavailable, "smtp_451"),
        ("250 OK", "554 spam", Invalid, "smtp_554"),
        ("250 OK", "452 disk full", Unavailable, "smtp_452"),
    ],
)
def test_refusals_say_whether_to_try_again(
    moody: tuple[Moody, SmtpMailer], recipient: str, content: str, kind: type, code: str
) -> None:
    """4xx is for now, 5xx for good (RFC 5321)."""
    server, sender = moody
    server.to_recipient, server.to_content = recipient, content
    error = refusal(sender)
    assert isinstance(error, kind)
    assert error.code == code


def test_a_server_without_tls_is_not_used_when_tls_is_demanded(
    moody: tuple[Moody, SmtpMailer],
) -> None:
    """The operator has to correct it; the message waits."""
    server, sender = moody
    port = sender._port
    error = refusal(mailer(port, starttls=True))
    assert isinstance(error, Unavailable)
    assert server.taken == []


def test_nobody_listening_is_worth_another_try() -> None:
    """The mail server restarts."""
    assert isinstance(refusal(mailer(1)), Unavailable)


def test_a_server_that_says_nothing_is_told_from_one_that_hangs_up() -> None:
    """The worker leaves a silent one alone for a while."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refusal(mailer(silent.getsockname()[1], timeout_s=0.2)).code == "no_answer"
    assert refusal(mailer(1)).code == "no_connection"


def test_a_server_that_trickles_is_given_up_at_the_deadline() -> None:
    """Each line comes in time for the socket; all of them together would never end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            with server.accept()[0] as peer:
                while not over.wait(0.1):
                    try:
                        peer.sendall(b"220-wait\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        error = refusal(mailer(server.getsockname()[1], timeout_s=0.5))
        took = time.monotonic() - began
        over.set()
        thread.join()
    assert error.code == "no_answer"
    assert 0.4 < took < 10


def test_a_server_that_talks_nonsense_is_worth_another_try() -> None:
    """Whatever listens there is no mail server now."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            with server.accept()[0] as peer:
                peer.sendall(b"\x00\xff hello\r\n" * 3)

        thread = threading.Thread(target=babble)
        thread.start()
        error = refusal(mailer(server.getsockname()[1], timeout_s=2))
        thread.join()
    assert isinstance(error, Unavailable)


def test_without_a_mail_server_no_attempt_is_made() -> None:
    """SMTP_HOST is empty."""
    assert refusal(mailer(25, host="")).code == "mail_not_configured"
