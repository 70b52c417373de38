"""Signatures are those of the Standard Webhooks specification, bit by bit."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from app.clock import utc_now
from app.signing import decode_secret, encode_secret, sign, verified_secret

# The specification's own example: secret, id, timestamp, body and signature.
SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
ID = "msg_loFOjxBNrRLzqYUf"
AT = datetime.fromtimestamp(1731705121, UTC)
BODY = b'{"event_type":"ping","data":{"success":true}}'
SIGNATURE = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
OTHER = bytes(range(32))


def test_a_known_message_has_the_known_signature() -> None:
    """Any receiver's library must come to the same."""
    headers = sign(ID, BODY, secrets=[base64.b64decode(SECRET[6:])], now=AT)
    assert headers == {
        "webhook-id": ID,
        "webhook-timestamp": "1731705121",
        "webhook-signature": SIGNATURE,
    }


def test_two_secrets_make_two_signatures_and_either_is_enough() -> None:
    """While a receiver changes its secret, the old and the new one both verify."""
    old, new = OTHER, OTHER[::-1]
    headers = sign("a", b"{}", secrets=[new, old], now=utc_now())
    assert len(headers["webhook-signature"].split()) == 2
    assert verified_secret(headers, b"{}", secrets=[old]) == old
    assert verified_secret(headers, b"{}", secrets=[new]) == new


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "b"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", ""),
        ("webhook-timestamp", "not a number"),
        ("webhook-timestamp", "0"),
    ],
)
def test_an_altered_header_verifies_with_no_secret(header: str, value: str) -> None:
    """Id, time and signature are all under the signature."""
    headers = sign("a", b"{}", secrets=[OTHER], now=utc_now())
    assert verified_secret({**headers, header: value}, b"{}", secrets=[OTHER]) is None


def test_an_altered_body_or_another_secret_verifies_not() -> None:
    """The plain attacks."""
    headers = sign("a", b"{}", secrets=[OTHER], now=utc_now())
    assert verified_secret(headers, b"{ }", secrets=[OTHER]) is None
    assert verified_secret(headers, b"{}", secrets=[OTHER[::-1]]) is None
    assert verified_secret({}, b"{}", secrets=[OTHER]) is None


@pytest.mark.parametrize(
    ("age_s", "is_good"), [(290, True), (310, False), (-290, True), (-310, False)]
)
def test_a_message_is_good_for_five_minutes_either_way(age_s: int, is_good: bool) -> None:
    """A recorded message cannot be sent again tomorrow; clocks may differ a little."""
    headers = sign("a", b"{}", secrets=[OTHER], now=utc_now() - timedelta(seconds=age_s))
    assert (verified_secret(headers, b"{}", secrets=[OTHER]) is not None) == is_good


def test_a_secret_survives_being_written_and_read() -> None:
    """With and without the prefix, with spaces around."""
    assert decode_secret(encode_secret(OTHER)) == OTHER
    assert decode_secret(f" {base64.b64encode(OTHER).decode()}\n") == OTHER


@pytest.mark.parametrize(("text", "reason"), [("whsec_***", "base64"), ("whsec_AAAA", "24 bytes")])
def test_a_useless_secret_is_refused_with_the_reason(text: str, reason: str) -> None:
    """Not base64, or too short to be one."""
    with pytest.raises(ValueError, match=reason):
        decode_secret(text)
