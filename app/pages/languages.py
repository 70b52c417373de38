"""The languages of the pages and their catalogues.

A catalogue is one flat JSON file per language in `translations/`. The same file feeds the templates
and, as a data block in the page, the ES modules, so a sentence exists once per language.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from werkzeug.datastructures import LanguageAccept

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {"en": "English", "de": "Deutsch", "fr": "Français"}
)
DEFAULT_LANGUAGE = "en"
FOLDER = Path(__file__).parent / "translations"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the sentences of one language by key; `language` is one of `LANGUAGES`."""
    text = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    return MappingProxyType(json.loads(text))


def choose(*, asked: str | None, accepted: LanguageAccept, preferred: str) -> str:
    """Return the language for one visit.

    What the person picked on the page wins over what their browser says, and that wins over what
    the hospital noted: the browser is set up by the person, the note may be years old.
    """
    if asked and asked in LANGUAGES:
        return asked
    return accepted.best_match(LANGUAGES) or _base(preferred)


def _base(locale: str) -> str:
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT_LANGUAGE
