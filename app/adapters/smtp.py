"""Outgoing e-mail over SMTP: one connection per message, because messages are rare.

One deadline for all of it: each step has the socket's own timeout, and a server that says a word
now and then would otherwise outlast the worker's claim, and the message would be sent twice.
"""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from app.adapters.http_call import Call
from app.adapters.http_guarded import connect
from app.errors import DomainError, Invalid, Unavailable

PERMANENT = 500


class SmtpMailer:
    """Implements `ports.Mailer`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        password: str,
        starttls: bool,
        timeout_s: float,
    ) -> None:
        self._host, self._port = host, port
        self._username, self._password = username, password
        self._tls = ssl.create_default_context() if starttls else None
        self._timeout_s = timeout_s

    def send(self, message: EmailMessage) -> None:
        """Hand one message to the mail server; see `ports.Mailer`."""
        if not self._host:
            raise Invalid("SMTP_HOST is not set.", code="mail_not_configured")
        with _within(self._timeout_s) as call, Conversation(call, self._timeout_s) as server:
            server.begin(self._host, self._port)
            if self._tls:
                server.starttls(context=self._tls)
            if self._username:
                server.login(self._username, self._password)
            server.send_message(message)


class Conversation(smtplib.SMTP):
    """One connection that can be ended from another thread, whatever it waits for."""

    def __init__(self, call: Call, timeout_s: float) -> None:
        super().__init__(timeout=timeout_s)
        self._call = call
        self._twin: socket.socket | None = None
        call.connection = self

    def begin(self, host: str, port: int) -> None:
        """Connect and read the greeting."""
        self._host = host  # what TLS asks the server's certificate for
        self.connect(host, port)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        connected = connect(host, port, self._call, None)
        # TLS takes the socket away from us; a duplicate still reaches the same connection.
        self._twin = connected.dup()
        if self._call.is_late:  # it was ended when there was nothing to hang up yet
            self.hang_up()
        return connected

    def close(self) -> None:
        """Close both ends of what we hold."""
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()
        super().close()

    def hang_up(self) -> None:
        """Shut the connection down; whoever reads from it finds its end."""
        twin = self._twin
        if twin is not None:
            try:
                twin.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already


@contextmanager
def _within(timeout_s: float) -> Iterator[Call]:
    call = Call(timeout_s, allow_private=True)  # the address is the operator's own
    timer = threading.Timer(timeout_s, call.abort)
    timer.daemon = True
    timer.start()
    try:
        yield call
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise _refusal(error, call) from None  # what the server wrote may hold the address
    finally:
        timer.cancel()


def _refusal(error: Exception, call: Call) -> DomainError:
    status = _status(error)
    if status >= PERMANENT:
        return Invalid("The mail server refuses this message.", code=f"smtp_{status}")
    if isinstance(error, ValueError):
        return Invalid("This address cannot be written into a message.", code="address_invalid")
    is_silent = call.is_late or _is_silence(error)
    code = f"smtp_{status}" if status else "no_answer" if is_silent else "no_connection"
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
