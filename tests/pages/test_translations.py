"""The catalogues say the same things in every language, and nothing that no page says."""

import re
from pathlib import Path

import pytest

from app.pages import view
from app.pages.languages import LANGUAGES, catalogue
from app.pages.staff import STAFF_STATES

PAGES = Path(view.__file__).parent
SOURCES = [
    *PAGES.glob("*.py"),
    *(PAGES / "templates").rglob("*.html"),
    *(PAGES / "static/js").glob("*.js"),
]
FAMILIES = (
    "action|call|clinic|consent|countdown|dialog|files|lobby|page|panel|playback|queue|recording|role"
    "|staff|state"
)
KEY = re.compile(rf"""['"]((?:{FAMILIES})\.[a-z.-]*[a-z])['"]""")


def keys_named_in_the_sources() -> set[str]:
    named = {key for file in SOURCES for key in KEY.findall(file.read_text(encoding="utf-8"))}
    states = [*(f"state.{s}" for s in view.STATES), *(f"staff.{s}" for s in STAFF_STATES)]
    return named | {f"{state}.{part}" for state in states for part in ("title", "text")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_exactly_the_keys_the_pages_use(language: str) -> None:
    assert set(catalogue(language)) == keys_named_in_the_sources()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty_and_places_are_the_same_everywhere(language: str) -> None:
    for key, english in catalogue("en").items():
        sentence = catalogue(language)[key]
        assert sentence.strip() == sentence != ""
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", english)), key


def test_every_state_the_scripts_show_is_declared() -> None:
    shown = set()
    for file in (PAGES / "static/js").glob("*.js"):
        shown |= set(re.findall(r"showNotice\('([a-z-]+)'", file.read_text(encoding="utf-8")))

    assert shown
    assert shown <= set(view.STATES)


def test_every_role_has_a_name_in_every_language() -> None:
    for language in LANGUAGES:
        assert {catalogue(language)[key] for key in view.ROLE_KEYS.values()}
