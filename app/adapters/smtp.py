"""Outgoing e-mail over SMTP: one connection per message, because invitations are rare."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from app.errors import DomainError, Invalid, Unavailable

TIMEOUT_S = 15.0
PERMANENT = 500


class SmtpMailer:
    """Implements `ports.Mailer`."""

    def __init__(
        self, *, host: str, port: int, username: str, password: str, starttls: bool
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username, password
        self._tls = ssl.create_default_context() if starttls else None

    def send(self, message: EmailMessage) -> None:
        """Hand one message to the mail server; see `ports.Mailer`."""
        if not self._host:
            raise Invalid("SMTP_HOST is not set.", code="mail_not_configured")
        with _translated(), smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S) as server:
            if self._tls:
                server.starttls(context=self._tls)
            if self._username:
                server.login(self._username, self._password)
            server.send_message(message)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise _refusal(error) from None  # what the server wrote may hold the address


def _refusal(error: Exception) -> DomainError:
    status = _status(error)
    if status >= PERMANENT:
        return Invalid("The mail server refuses this message.", code=f"smtp_{status}")
    if isinstance(error, ValueError):
        return Invalid("This address cannot be written into a message.", code="address_invalid")
    without_status = "no_answer" if _is_silence(error) else "no_connection"
    code = f"smtp_{status}" if status else without_status
    return Unavailable("The mail server did not take the message.", code=code)


def _is_silence(error: Exception) -> bool:
    # smtplib tells of a timeout as if the server had hung up, and keeps the reason beside.
    return isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)


def _status(error: Exception) -> int:
    """Return what the server says about this message; 0 when it is about us or the connection."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _text in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code
    # A login or sender that is refused is a setting to be corrected: the message can wait for it.
    return 0
