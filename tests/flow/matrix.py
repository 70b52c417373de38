"""Every act that takes a permission, on every channel: how it is tried, and how a refusal is seen.

What a role may do is not said here: the cases are made from the table of permissions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.localstack import names
from app.participants.permissions import Permission, Role, effective
from tests.flow.xmpp_client import XmppClient, room_jid

P = Permission
ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
JITSI = "http://jitsi.org/jitmeet"
MUC_USER = "http://jabber.org/protocol/muc#user"
NOBODY = f"nobody@{names.DOMAIN}"


@dataclass(frozen=True, slots=True)
class Act:
    """Something tried. `permission` None: nobody may. `code`: what a refusal says."""

    channel: str
    name: str
    permission: Permission | None
    code: str
    # The word for it on record.
    kind: str = ""
    # A stanza for this room (its name) and this sender's nickname, or the body of a request.
    content: Callable[[str, str], str] = lambda _room, _nick: ""
    body: Callable[[str], dict[str, Any]] = lambda _bystander: {}


@dataclass(frozen=True, slots=True)
class Case:
    """One act of one role; it is refused unless the table says otherwise."""

    act: Act
    role: str

    @property
    def is_allowed(self) -> bool:
        """What the table says."""
        return self.act.permission in effective(
            self.role, kind="consultation", organisation={}, participant={}
        )

    def __str__(self) -> str:
        """Name the test."""
        return f"{self.act.channel}: {self.role}: {self.act.name}"


def iq(to: Callable[[str], str], content: Callable[[str, str], str], kind: str = "set") -> Any:
    """An IQ to an address that depends on the room."""
    return lambda room, nick: (
        f'<iq type="{kind}" id="%s" to="{to(room)}">{content(room, nick)}</iq>'
    )


def to_focus(room: str) -> str:
    return room_jid(room, names.FOCUS_NICK)


def about_room(query: str, content: str, kind: str = "set") -> Any:
    return iq(room_jid, lambda _r, _n: f'<query xmlns="{query}">{content}</query>', kind)


def message(to: Callable[[str], str], content: str, kind: str = "normal") -> Any:
    return lambda room, _: f'<message type="{kind}" id="%s" to="{to(room)}">{content}</message>'


def component(name: str) -> Callable[[str], str]:
    return lambda _: f"{name}.{names.DOMAIN}"


def presence(content: str) -> Any:
    return lambda room, nick: f'<presence id="%s" to="{room_jid(room, nick)}">{content}</presence>'


def mute(medium: str) -> Any:
    return iq(
        to_focus,
        lambda room, _: (
            f'<mute xmlns="{JITSI}/{medium}" jid="{room_jid(room, "nobody")}">true</mute>'
        ),
    )


def fixed(content: str) -> Callable[[str, str], str]:
    return lambda _room, _nick: content


def jibri(attributes: str) -> str:
    return f'<jibri xmlns="http://jitsi.org/protocol/jibri" {attributes}/>'


SCREEN = (
    '<jingle xmlns="urn:xmpp:jingle:1" action="source-add" sid="s"><content name="video">'
    '<description xmlns="urn:xmpp:jingle:apps:rtp:1"><source '
    'xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" videoType="desktop" ssrc="1"/></description>'
    "</content></jingle>"
)
TRANSCRIBE = "jitsi_participant_requestingTranscription"
POLL = f'<json-message xmlns="{JITSI}">{{"type":"new-poll"}}</json-message>'
FILE = f'<file-sharing xmlns="{JITSI}" type="add">{{}}</file-sharing>'
ALLOW = '<av_moderation mediaType="audio" jidToWhitelist="x@y/z"/>'
SWITCH = '<av_moderation enable="true" mediaType="video"/>'
SOURCES = '{"a-v0":{"muted":false,"videoType":"desktop"}}'
MODERATE = (P.MODERATE, "not-moderator")


def xmpp(name: str, permission: Permission | None, code: str, kind: str, content: Any) -> Act:
    return Act("XMPP", name, permission, code, kind, content)


STANZAS = [
    xmpp("kick", *MODERATE, "kick", about_room(ADMIN, '<item nick="nobody" role="none"/>')),
    xmpp(
        "ban", *MODERATE, "kick", about_room(ADMIN, f'<item jid="{NOBODY}" affiliation="outcast"/>')
    ),
    xmpp(
        "grant",
        *MODERATE,
        "affiliation",
        about_room(ADMIN, f'<item jid="{NOBODY}" affiliation="member"/>'),
    ),
    xmpp(
        "list the owners",
        *MODERATE,
        "affiliation",
        about_room(ADMIN, '<item affiliation="owner"/>', "get"),
    ),
    xmpp("read the settings", *MODERATE, "configuration", about_room(OWNER, "", "get")),
    xmpp("mute a microphone", *MODERATE, "mute", mute("audio")),
    xmpp("mute a camera", *MODERATE, "mute", mute("video")),
    xmpp("mute a screen", *MODERATE, "mute", mute("desktop")),
    xmpp(
        "moderate cameras", *MODERATE, "av-moderation", message(component("avmoderation"), SWITCH)
    ),
    xmpp(
        "allow a microphone", *MODERATE, "av-moderation", message(component("avmoderation"), ALLOW)
    ),
    xmpp(
        "change metadata",
        *MODERATE,
        "metadata",
        message(component("metadata"), f'<room_metadata xmlns="{JITSI}">{{}}</room_metadata>'),
    ),
    xmpp(
        "make breakout rooms",
        *MODERATE,
        "breakout",
        message(component("breakout"), f'<breakout_rooms xmlns="{JITSI}"/>'),
    ),
    xmpp("make a poll", *MODERATE, "poll", message(room_jid, POLL, "groupchat")),
    xmpp(
        "set the subject",
        *MODERATE,
        "subject",
        message(room_jid, "<subject>S</subject>", "groupchat"),
    ),
    xmpp(
        "invite",
        *MODERATE,
        "invite",
        message(room_jid, f'<x xmlns="{MUC_USER}"><invite to="{NOBODY}"/></x>'),
    ),
    xmpp(
        "end by component",
        P.END_SESSION,
        "end-not-allowed",
        "end",
        message(component("endconference"), "<end_conference/>"),
    ),
    xmpp(
        "share a screen",
        P.SHARE_SCREEN,
        "screen-not-allowed",
        "screen",
        presence(f'<videoType xmlns="{JITSI}/video">desktop</videoType>'),
    ),
    xmpp(
        "share a screen as a source",
        P.SHARE_SCREEN,
        "screen-not-allowed",
        "screen",
        presence(f"<SourceInfo>{SOURCES}</SourceInfo>"),
    ),
    xmpp(
        "send a screen", P.SHARE_SCREEN, "screen-not-allowed", "screen", iq(to_focus, fixed(SCREEN))
    ),
    xmpp(
        "record",
        P.REQUEST_RECORDING,
        "recording-not-allowed",
        "recording",
        iq(to_focus, fixed(jibri('action="start"'))),
    ),
    xmpp(
        "stop a recording",
        P.REQUEST_RECORDING,
        "recording-not-allowed",
        "recording",
        iq(to_focus, fixed(jibri('action="stop"'))),
    ),
    xmpp(
        "record past the room",
        P.REQUEST_RECORDING,
        "recording-not-allowed",
        "recording",
        iq(lambda _: names.FOCUS_USER, fixed(jibri('action="start" recording_mode="file"'))),
    ),
    xmpp(
        "broadcast",
        None,
        "not-offered",
        "broadcast",
        iq(to_focus, fixed(jibri('action="start" recording_mode="stream" streamid="key"'))),
    ),
    xmpp(
        "call a telephone bridge by a recorder",
        None,
        "not-offered",
        "broadcast",
        iq(to_focus, fixed(jibri('action="start" sipaddress="a@b.example"'))),
    ),
    xmpp(
        "share a file",
        P.SHARE_FILES,
        "files-not-allowed",
        "files",
        message(component("filesharing"), FILE),
    ),
    xmpp(
        "write to all",
        P.CHAT,
        "chat-not-allowed",
        "chat",
        message(room_jid, "<body>b</body>", "groupchat"),
    ),
    xmpp(
        "write to one",
        P.CHAT,
        "chat-not-allowed",
        "chat",
        message(to_focus, "<body>b</body>", "chat"),
    ),
    xmpp(
        "dial out",
        None,
        "not-offered",
        "telephone",
        iq(to_focus, fixed('<dial xmlns="urn:xmpp:rayo:1"/>')),
    ),
    xmpp(
        "transcribe",
        None,
        "not-offered",
        "transcription",
        presence(f"<{TRANSCRIBE}>true</{TRANSCRIBE}>"),
    ),
    # Last: it succeeds.
    xmpp(
        "destroy the room", P.END_SESSION, "end-not-allowed", "end", about_room(OWNER, "<destroy/>")
    ),
]


def page(
    name: str, permission: Permission, body: Callable[[str], dict[str, Any]] = lambda _: {}
) -> Act:
    return Act("page", name, permission, "not_permitted", body=body)


AV = {"audio": True, "video": False}
PAGE = [
    page("people", P.MODERATE),
    page("controls/mute", P.MODERATE, lambda one: {"participant_id": one, "media": "audio"}),
    page("controls/mute-all", P.MODERATE),
    page("controls/unmute-request", P.MODERATE, lambda one: {"participant_id": one}),
    page("controls/av-moderation", P.MODERATE, lambda _: AV),
    page("controls/message", P.MODERATE, lambda _: {"text": "Hello."}),
    page("controls/moderator", P.MODERATE, lambda one: {"participant_id": one, "moderator": False}),
    page("controls/record", P.REQUEST_RECORDING, lambda _: {"ask_first": True}),
    page("controls/stop-recording", P.REQUEST_RECORDING),
    page("controls/remove", P.MODERATE, lambda one: {"participant_id": one}),
    # Last: it succeeds.
    page("controls/end", P.END_SESSION, lambda _: {"reason": "Done."}),
]
# What the exchange of a link says of each permission, for clients and pages to show.
REST = [Act("REST", f"exchange for {p}", p, "") for p in Permission]


def cases(acts: list[Act]) -> Iterator[Case]:
    """Yield every act for every role; for each act those first who may not."""
    for act in acts:
        yield from sorted((Case(act, str(role)) for role in Role), key=lambda c: c.is_allowed)


async def try_stanza(client: XmppClient, act: Act, room: str, number: int) -> str:
    """Send a stanza and return the code it was refused with, or ''.

    A ping behind it shows that it was dealt with: Prosody takes a client's stanzas in turn.
    """
    name, came = f"act{number}", len(client.seen)
    await client.send(act.content(room, client.nick) % name)
    await client.ask("get", names.DOMAIN, '<ping xmlns="urn:xmpp:ping"/>')
    for stanza in client.seen[came:]:
        text = stanza.findtext(
            "{jabber:client}error/{urn:ietf:params:xml:ns:xmpp-stanzas}text", default=""
        )
        if stanza.get("id") == name and text.startswith(f"{act.code}: "):
            return act.code
    return ""
