"""Outgoing HTTP to addresses that customers chose: no redirects, no private networks, never long.

The address is judged where the connection is made, on the very address that is connected to: a
name that resolves differently a moment later (DNS rebinding) gains nothing.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from app.adapters.addresses import is_public
from app.adapters.http_call import Call, shut_down
from app.errors import Invalid, Unavailable

LONGEST_ANSWER_BYTES = 64 * 1024
TOO_MANY_REQUESTS = 429
OK, REDIRECT, SERVER_ERROR = 200, 300, 500


class AddressRefused(OSError):
    """The name leads to an address this service must not call."""


_current = threading.local()


class Guarded(HTTPConnection):
    """A connection that only reaches public addresses and can be ended from another thread."""

    _twin: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        connected = connect(self.host, self.port, _current.call, self.socket_options)
        # TLS takes the socket away from us; a duplicate still reaches the same connection.
        self._twin = connected.dup()
        if _current.call.is_late:  # it was aborted when there was nothing to hang up yet
            self.hang_up()
        return connected

    def connect(self) -> None:
        """Connect, known to the call from the start."""
        _current.call.connection = self
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send, on a connection that may be one from before."""
        _current.call.connection = self
        super().request(*args, **kwargs)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Return the answer; urllib3 forgets that the connection may have gone while it sent.

        Raises:
            RemoteDisconnected: it has.
        """
        if self.sock is None:
            raise RemoteDisconnected("The connection was closed while a request was sent on it.")
        return super().getresponse()

    def close(self) -> None:
        """Close both ends of what we hold."""
        twin, self._twin = self._twin, None
        call: Call | None = getattr(_current, "call", None)
        if twin is not None and call is not None and call.connection is self and not call.is_over:
            call.keep(twin)
        elif twin is not None:
            twin.close()
        super().close()

    def hang_up(self) -> None:
        """Shut the connection down; whoever reads from it finds its end."""
        twin = self._twin
        if twin is not None:
            shut_down(twin)


class GuardedTls(Guarded, HTTPSConnection):
    """The same with TLS."""


class PlainPool(HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls = Guarded


class TlsPool(HTTPSConnectionPool):
    """Connections with TLS."""

    ConnectionCls = GuardedTls


class GuardedAdapter(HTTPAdapter):
    """Makes `requests` use our connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Set the connection classes before the first pool is made."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}


def connect(host: str, port: int, call: Call, options: Any) -> socket.socket:
    """Connect to the first allowed address of a host.

    Raises:
        AddressRefused: it has none.
        OSError: none of them answered in time, or the name was not resolved in time.
    """
    failure: OSError = AddressRefused("no address of this host may be called")
    for *how, _name, address in _addresses(host.strip("[]"), port, call):
        if not (call.allow_private or is_public(str(address[0]))):
            continue
        try:
            return _open(how, address, call, options)
        except OSError as error:
            failure = error
    raise failure


def _addresses(host: str, port: int, call: Call) -> Sequence[tuple[Any, ...]]:
    """Resolve a name while the call lasts. `getaddrinfo` knows no timeout, so another thread waits
    for it, and goes on alone until the resolver gives up (after seconds)."""
    lookup: Future[Sequence[tuple[Any, ...]]] = Future()

    def look_up() -> None:
        try:
            lookup.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            lookup.set_exception(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return lookup.result(timeout=call.remaining_s())


def _open(how: list[Any], address: Any, call: Call, options: Any) -> socket.socket:
    connection = socket.socket(*how)
    try:
        for option in options or ():
            connection.setsockopt(*option)
        connection.settimeout(call.remaining_s())
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class GuardedSender:
    """Implements `ports.HttpSender`. One keep-alive session per thread.

    The code of an error is `http_<status>` when there was an answer, else `no_answer` (silence),
    `no_connection` (nobody listens), `tls_failed` or `address_refused`.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        allow_private: bool,
        longest_bytes: int = LONGEST_ANSWER_BYTES,
    ) -> None:
        self._timeout_s = timeout_s
        self._longest_bytes = longest_bytes
        self._allow_private = allow_private
        self._threads = threading.local()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send `body` once and return the status code of the answer; see `ports.HttpSender`."""
        return self._answer("POST", url, body, headers)[0]

    def call(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Send one request and return the body of its answer, 64 KiB at most
        unless it was made for longer ones.

        Raises:
            Unavailable, Invalid: see `ports.HttpSender`; also Invalid, `answer_too_long`.
        """
        content = self._answer(method, url, body, headers)[1]
        if len(content) > self._longest_bytes:
            raise Invalid("The answer is too long.", code="answer_too_long")
        return content

    def _answer(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        with _translated(Call(self._timeout_s, allow_private=self._allow_private)) as call:
            answer = self._session().request(
                method,
                url,
                data=body,
                headers={"accept-encoding": "identity", **headers},
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            )
            with answer:
                # Read, so that the connection can be used again; a longer answer costs it its own.
                content = answer.raw.read(self._longest_bytes + 1, decode_content=False)
                if call.is_late:
                    raise TimeoutError
        return _accepted(answer), content

    def close(self) -> None:
        """Close the connections of this thread."""
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is not None:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no proxy and no .netrc from the environment
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            session.mount("http://", GuardedAdapter(max_retries=0))
            session.mount("https://", GuardedAdapter(max_retries=0))
            self._threads.session = session
        return session


@contextmanager
def _translated(call: Call) -> Iterator[Call]:
    _current.call = call
    timer = threading.Timer(call.remaining_s(), call.abort)
    timer.daemon = True
    timer.start()
    try:
        yield call
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _refusal(error, call) from None  # the text of the first may hold the address
    finally:
        timer.cancel()
        call.end()


def _refusal(error: Exception, call: Call) -> Invalid | Unavailable:
    causes = list(_causes(error))
    if any(isinstance(cause, AddressRefused) for cause in causes):
        return Invalid("The address is not a public one.", code="address_refused")
    if any(isinstance(cause, ssl.SSLError) for cause in causes) and not call.is_late:
        return Unavailable("TLS could not be agreed on.", code="tls_failed")
    if call.is_late or any(isinstance(c, (TimeoutError, requests.Timeout)) for c in causes):
        return Unavailable("No answer in time.", code="no_answer")
    if isinstance(error, (ValueError, requests.exceptions.InvalidURL)) and not isinstance(
        error, requests.ConnectionError
    ):
        return Invalid("The address cannot be called.", code="address_refused")
    return Unavailable("The connection failed.", code="no_connection")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from: libraries wrap in `args`, `reason` and `context`."""
    following: BaseException | None = error
    while following is not None:
        yield following
        inner = next((a for a in following.args if isinstance(a, BaseException)), None)
        reason = getattr(following, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        following = inner or following.__cause__ or following.__context__


def _accepted(answer: requests.Response) -> int:
    status = answer.status_code
    if OK <= status < REDIRECT:
        return status
    code = f"http_{status}"
    if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
        wait = answer.headers.get("Retry-After", "")
        retry_after_s = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else None
        raise Unavailable("The receiver has a problem.", code=code, retry_after_s=retry_after_s)
    raise Invalid("The receiver did not accept it.", code=code)
