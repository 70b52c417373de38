"""One room as the stand-in for Jicofo knows it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from slixmpp import JID

MUC_USER = "{http://jabber.org/protocol/muc#user}"


@dataclass
class Conference:
    """One room the focus is in or about to enter."""

    joined: asyncio.Future[None]
    roles: dict[str, str] = field(default_factory=dict)
    leaving: asyncio.TimerHandle | None = None
    # What our presence says of its recording.
    recording: ET.Element | None = None
    # The hidden ones among those with a role.
    hidden: set[str] = field(default_factory=set)

    @property
    def has_people(self) -> bool:
        """Whether anybody but a recorder is there."""
        return bool(self.roles.keys() - self.hidden)


def role_in(presence: ET.Element) -> str:
    """Return the role a presence gives its sender."""
    item = presence.find(f"{MUC_USER}x/{MUC_USER}item")
    return item.get("role", "none") if item is not None else "none"


def address_in(presence: ET.Element) -> JID:
    """Return the real address of its sender."""
    item = presence.find(f"{MUC_USER}x/{MUC_USER}item")
    return JID(item.get("jid", "") if item is not None else "")


def stop_timer(conference: Conference) -> None:
    """Do not leave after all."""
    if conference.leaving is not None:
        conference.leaving.cancel()
        conference.leaving = None


def cancel(conference: Conference) -> None:
    """Be in this room no more, and let nobody wait for it."""
    stop_timer(conference)
    conference.joined.cancel()
