"""Small rules of webhooks: addresses, pauses between attempts, what is signed."""

import pytest
from standardwebhooks.webhooks import Webhook

from app.clock import utc_now
from app.errors import Invalid
from app.signing import encode_secret, sign
from app.webhooks.service import check_url
from workers.schedule import Backoff, retry_delay_s


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hospital.example/hook",
        "ftp://hospital.example/",
        "http://hospital.example/",
        "https://",
        "https://user:secret@hospital.example/",
        "https://hospital.example/#part",
        "https://hospital.example:99999/",
        "https://hospital.example/a b",
        "https://hospital.example/\nx",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://krankenhaus.exämple/",
    ],
)
def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    """Said at once, not after twelve failed deliveries."""
    with pytest.raises(Invalid) as caught:
        check_url(url, allow_private=False)
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("url", "allow_private"),
    [
        ("https://hospital.example/hook?tenant=1", False),
        ("https://hospital.example:8443/", False),
        ("http://127.0.0.1:9000/", True),
    ],
)
def test_a_good_address_is_accepted(url: str, allow_private: bool) -> None:
    """Plain http and loopback only where a deployment asks for it."""
    check_url(url, allow_private=allow_private)


def test_pauses_grow_from_seconds_to_half_a_day_and_end() -> None:
    """Twelve attempts last about a day."""
    pauses = [retry_delay_s(attempt, 12) for attempt in range(1, 12)]
    assert retry_delay_s(12, 12) is None
    assert pauses[0] == pytest.approx(5, rel=0.2)
    assert pauses[-1] == pytest.approx(12 * 3600, rel=0.2)
    assert 12 * 3600 < sum(pause for pause in pauses if pause) < 36 * 3600


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_few_attempts_have_pauses_too(attempts: int) -> None:
    """A small DELIVERY_ATTEMPTS divides by nothing."""
    assert retry_delay_s(attempts, attempts) is None
    if attempts > 1:
        assert retry_delay_s(1, attempts) == pytest.approx(5, rel=0.2)


def test_reconnecting_slows_down_to_five_seconds() -> None:
    """And begins anew after a success."""
    backoff = Backoff()
    pauses = [backoff.next_s() for _ in range(8)]
    assert pauses[0] < 0.3
    assert pauses[-1] <= 6
    backoff.reset()
    assert backoff.next_s() < 0.3


def test_a_signature_verifies_with_the_receivers_own_library() -> None:
    """The id, the time and the body are covered."""
    secret, body = b"s" * 32, b'{"id":"1"}'
    headers = sign("1", body, secrets=[secret], now=utc_now())
    assert Webhook(encode_secret(secret)).verify(body, headers) == {"id": "1"}
