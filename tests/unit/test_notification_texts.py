"""Texts for phones: one part, in the alphabet that makes it one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notifications.kinds import Kind
from app.notifications.short import BASIC, EXTENDED, ONE_PART, compose, in_alphabet, length
from tests.unit.test_mail_invitation import INVITATION

LINK = "https://teleconsult.hospital.example/j/abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_text_is_one_part(kind: Kind, language: str) -> None:
    """Also with a long name of the hospital and every accent."""
    notice = replace(
        INVITATION, kind=kind, locale=language, link=LINK, timezone="Europe/Paris",
        organisation="Hôpital universitaire de Saint-Barthélemy",
    )  # fmt: skip
    text = compose(notice)
    assert length(text) <= ONE_PART
    assert set(text) <= BASIC | EXTENDED
    assert text.endswith(LINK)
    assert "Hopital " in text or "Hôpital" not in text
    assert not {"{", "}"} & set(text)


@given(st.text())
def test_everything_can_be_written_in_the_alphabet(text: str) -> None:
    """What has no plain form becomes a question mark."""
    assert set(in_alphabet(text)) <= BASIC | EXTENDED


def test_some_characters_take_two_places() -> None:
    """3GPP TS 23.038: they come after an escape."""
    assert length("a€") == 3
    assert in_alphabet("Straße ñ ê ç – ’") == "Straße ñ e c - '"
