"""A message as a text for a phone: one part of 160 characters if it can be.

Source: 3GPP TS 23.038, the GSM 7-bit default alphabet. One character outside it, such as ê or a
curly quote, makes the whole text UCS-2, and a part holds 70 characters instead of 160.
"""

import unicodedata

from app.notifications.notice import Notice, kind_words

ONE_PART = 160
BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# These take two places, because an escape character goes before them.
EXTENDED = set("^{}\\[~]|€")
SHORTEST_NAME = 8


def compose(notice: Notice) -> str:
    """Return the text. A hospital's long name is shortened before the text needs a second part."""
    template = kind_words(notice.language, notice.kind)["short"]
    when = in_alphabet(notice.short_when)
    rest = " ".join(part for part in (template.replace("{when}", when), notice.link) if part)
    name = in_alphabet(notice.organisation)
    too_long = length(rest.replace("{organisation}", name)) - ONE_PART
    if too_long > 0:
        name = name[: max(SHORTEST_NAME, len(name) - too_long)].rstrip()
    return rest.replace("{organisation}", name)


def length(text: str) -> int:
    """Return how many of the 160 places a text takes, which must be in the alphabet."""
    return sum(2 if character in EXTENDED else 1 for character in text)


def in_alphabet(text: str) -> str:
    """Return the text with what the alphabet lacks written plainly: ê as e, and '?' at last."""
    return "".join(_plain(character) for character in text)


def _plain(character: str) -> str:
    if character in BASIC or character in EXTENDED:
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Pd":
        return "-"
    if character in "‘’‚":
        return "'"
    plain = unicodedata.normalize("NFKD", character)
    return "".join(c for c in plain if c in BASIC) or "?"
