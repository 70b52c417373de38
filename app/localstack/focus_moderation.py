"""What the stand-in for Jicofo does when microphones or cameras become moderated: it mutes
everybody who is no moderator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from app.localstack import names

JSON_MESSAGE = "{http://jitsi.org/jitmeet}json-message"


def to_mute(
    sender: str, message: ET.Element, roles: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield nick and namespace of everybody a message of the component asks to be muted."""
    content = _content(message) if sender == names.AV_MODERATION else {}
    if content.get("enabled") is not True:
        return
    for nick, role in roles.items():
        if role != "moderator":
            yield nick, f"http://jitsi.org/jitmeet/{content['mediaType']}"


def room_of(message: ET.Element) -> str:
    """Return the room a message of the component is about, or ''."""
    return str(_content(message).get("room", ""))


def _content(message: ET.Element) -> dict[str, object]:
    try:
        content = json.loads(message.findtext(JSON_MESSAGE) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
