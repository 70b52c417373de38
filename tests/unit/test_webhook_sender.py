"""The guarded sender: where it refuses to go, and how long and how much it listens."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.adapters.addresses import is_public
from app.adapters.http_guarded import Guarded, GuardedSender
from app.clock import utc_now
from app.errors import DomainError, Invalid, Unavailable

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate for localhost that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


@contextmanager
def server(
    talk: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Serve each connection with `talk` on loopback; yield its URL and the requests it read."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
                    with spoken:
                        requests.append(read_request(spoken))
                        talk(spoken)
                except OSError:
                    continue  # the sender hung up, as it should

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def wait_for(event: threading.Event) -> None:
    """Wait, but not for ever if a test fails."""
    event.wait(10)


def read_request(connection: socket.socket) -> bytes:
    """Read one request whose body is `{}`."""
    request = b""
    while not request.endswith(b"\r\n\r\n{}") and (more := connection.recv(65536)):
        request += more
    return request


def post(url: str, *, timeout_s: float = 2.0, allow_private: bool = True) -> int:
    """Send a small body once."""
    sender = GuardedSender(timeout_s=timeout_s, allow_private=allow_private)
    try:
        return sender.post(url, b"{}", {"content-type": "application/json"})
    finally:
        sender.close()


def refusal(url: str, **options: float | bool) -> DomainError:
    """Send and return the error it must give."""
    with pytest.raises(DomainError) as caught:
        post(url, **options)  # type: ignore[arg-type]
    return caught.value


def answer(head: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    """Return a server that gives one answer."""
    whole = f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    return lambda connection: connection.sendall(whole)


def test_a_success_returns_its_status() -> None:
    """The body and the headers arrive as given."""
    with server(answer("202 Accepted", b"thanks")) as (url, requests):
        assert post(url) == 202
    assert requests[0].startswith(b"POST /hook HTTP/1.1")
    assert b"content-type: application/json" in requests[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254"])
def test_a_private_address_is_refused_before_anything_is_sent(host: str) -> None:
    """Also when only the name leads there: the judgement falls at the connection."""
    with server(answer("204 No Content")) as (url, requests):
        error = refusal(url.replace("127.0.0.1", host), allow_private=False)
    assert isinstance(error, Invalid)
    assert error.code == "address_refused"
    assert requests == []


def test_a_redirect_is_not_followed() -> None:
    """It could lead anywhere; the receiver has to give its final address."""
    with server(answer("302 Found\r\nlocation: http://127.0.0.1:1/")) as (url, requests):
        error = refusal(url)
    assert (error.code, error.retryable) == ("http_302", False)
    assert len(requests) == 1


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (410, False), (500, True)])
def test_other_answers_are_errors_that_name_their_status(status: int, retryable: bool) -> None:
    """The caller reads the status from the code."""
    with server(answer(f"{status} Whatever")) as (url, _):
        error = refusal(url)
    assert (error.code, error.retryable) == (f"http_{status}", retryable)


def test_a_busy_receiver_may_ask_for_time() -> None:
    """429 and 503 may carry Retry-After in seconds."""
    with server(answer("429 Too Many Requests\r\nretry-after: 120")) as (url, _):
        error = refusal(url)
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 120


def test_a_receiver_that_says_nothing_is_left_in_time() -> None:
    """It reads the request and never answers."""
    over = threading.Event()
    began = time.monotonic()
    with server(lambda _connection: wait_for(over)) as (url, _):
        error = refusal(url, timeout_s=0.4)
        took = time.monotonic() - began
        over.set()
    assert error.code == "no_answer"
    assert took < 5


def test_a_receiver_that_answers_a_byte_now_and_then_is_left_in_time() -> None:
    """Every byte starts the socket's timeout anew; the whole request still has one limit."""
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 1000:
            connection.sendall(bytes([byte]))
            if over.wait(0.05):
                return

    began = time.monotonic()
    with server(trickle) as (url, _):
        error = refusal(url, timeout_s=0.5)
        took = time.monotonic() - began
        over.set()
    assert error.code == "no_answer"
    assert took < 10


def test_a_huge_answer_is_not_read() -> None:
    """The status counts; the rest of the body is left where it is."""
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            sent += connection.send(b"x" * 65536)

    with server(flood) as (url, _):
        assert post(url) == 200
    assert sent < 50_000_000


def test_nobody_listening_is_worth_another_try() -> None:
    """A hospital may be deploying."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = refusal(f"http://127.0.0.1:{port}/")
    assert (error.code, error.retryable) == ("no_connection", True)


def test_a_connection_is_used_again() -> None:
    """Two requests, one connection."""
    ports = set()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, peer = listener.accept()
            with connection:
                for _ in range(2):
                    read_request(connection)
                    ports.add(peer[1])
                    connection.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        sender = GuardedSender(timeout_s=2, allow_private=True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert sender.post(url, b"{}", {}) == 204
        assert sender.post(url, b"{}", {}) == 204
        thread.join()
        sender.close()
    assert len(ports) == 1


def test_tls_is_spoken_and_the_certificate_checked(tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused; with its issuer known it is accepted."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(connection: socket.socket) -> None:
        connection.sendall(OK)

    with server(talk, tls=context) as (plain, requests):
        url = plain.replace("http://127.0.0.1", "https://localhost")
        assert refusal(url).code == "tls_failed"
        assert requests == []
        sender = GuardedSender(timeout_s=2, allow_private=True)
        sender._session().verify = str(certificate)
        assert sender.post(url, b"{}", {}) == 204
        sender.close()


def test_a_receiver_that_hangs_in_the_handshake_is_left_in_time() -> None:
    """It accepts the connection and says nothing."""
    over = threading.Event()
    with server(lambda _connection: wait_for(over)) as (url, _):
        error = refusal(url.replace("http://", "https://"), timeout_s=0.4)
        over.set()
    assert error.code == "no_answer"


def test_a_connection_that_went_while_it_sent_is_no_fault_of_ours() -> None:
    """As urllib3 reads the answer then: it forgets to look."""
    with pytest.raises(RemoteDisconnected):
        Guarded("127.0.0.1", 1).getresponse()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:0a00:0001::1", False),
    ],
)
def test_only_public_addresses_count_as_public(address: str, public: bool) -> None:
    """Also when IPv4 hides in IPv6."""
    assert is_public(address) is public
