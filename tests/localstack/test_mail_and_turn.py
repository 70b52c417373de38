"""The mail server keeps every mail; the TURN server lets in only who has a current credential."""

import base64
import email
import hashlib
import hmac
import smtplib
import subprocess
import time
from email.message import EmailMessage

import pytest

from app.localstack import LocalStack


def test_a_mail_becomes_one_file(stack: LocalStack) -> None:
    """With its envelope, so that a test sees who would have received it."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@hospital.localhost", "b@example.org", "Grüße"
    mail.set_content("Ihre Sprechstunde")

    with smtplib.SMTP("127.0.0.1", stack.mail.port) as server:
        server.send_message(mail)

    stored = email.message_from_bytes(stack.mail.mails()[-1].read_bytes())
    assert stored["X-Envelope-To"] == "b@example.org"
    assert "Ihre Sprechstunde" in stored.get_payload()


def allocate(stack: LocalStack, expires_in_s: int, secret: str) -> int:
    """Run coturn's own client with a timed credential; 0 means that data was relayed."""
    user = f"{int(time.time()) + expires_in_s}:test"
    password = base64.b64encode(hmac.digest(secret.encode(), user.encode(), hashlib.sha1)).decode()
    port = str(stack.ports["coturn"])
    words = [
        "turnutils_uclient",
        "-y",
        "-u",
        user,
        "-w",
        password,
        "-p",
        port,
        "-n",
        "1",
        "-m",
        "1",
        "127.0.0.1",
    ]
    return subprocess.run(words, capture_output=True, timeout=30, check=False).returncode


def test_a_current_credential_relays(stack: LocalStack) -> None:
    """Both ends on loopback, as two browsers of one machine are."""
    assert allocate(stack, 60, stack.secrets.turn) == 0


@pytest.mark.parametrize(("expires_in_s", "secret"), [(-60, None), (60, "wrong")])
def test_an_expired_or_forged_credential_is_refused(
    stack: LocalStack, expires_in_s: int, secret: str | None
) -> None:
    """Without a secret nobody uses the relay."""
    assert allocate(stack, expires_in_s, secret or stack.secrets.turn) != 0
