"""What a caller may be allowed to do, and the sets of it that teams and systems are given."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

SCOPES: Mapping[str, str] = {
    "sessions:read": "Read sessions and their attendance.",
    "sessions:write": "Create, change, start, end and cancel sessions.",
    "participants:read": "Read who takes part in a session.",
    "participants:write": "Invite, change and remove participants; replace links.",
    "rooms:moderate": "Send messages to a live room, and moderate it.",
    "recordings:read": "Read whether and why sessions were recorded.",
    "recordings:write": "Start and stop recordings.",
    "recordings:share": "Make and revoke links with which people watch recordings.",
    "recordings:delete": "Delete recordings for good, and read the proof of it.",
    "holds:manage": "Place, list and release legal holds.",
    "consents:read": "Read who agreed to what, and export it.",
    "consents:write": "Write down consents that people gave elsewhere.",
    "files:read": "List and open the files of a session.",
    "files:write": "Share and delete files in a session.",
    "webhooks:manage": "Subscribe addresses to events.",
    "appointments:read": "Read appointments.",
    "appointments:write": "Make, move and cancel appointments.",
    "visits:write": "Start and end visits.",
    "events:read": "Read the feed of events.",
    "audit:read": "Read the audit log.",
    "emergency:enter": "Enter an emergency uninvited, with a reason.",
    "emergency:review": "Read and review uninvited entries.",
    "organisation:read": "Read the organisation's settings.",
    "organisation:manage": "Change the organisation's settings.",
    "notifications:manage": "Change how people are told, and send again.",
    "operations:read": "Read operating figures.",
}

CLINIC = (
    "sessions:read", "sessions:write", "participants:read", "participants:write",
    "rooms:moderate", "recordings:read", "recordings:write", "recordings:share",
    "consents:read", "consents:write",
    "appointments:read", "appointments:write", "visits:write", "events:read",
    "notifications:manage", "files:read", "files:write",
)  # fmt: skip
# The four teams are those of the hospital's access table (NetOps see how the network parts are,
# SecOps read the audit log and change nothing, AppOps configure, DevOps administer).
SCOPE_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "netops": ("operations:read",),
        "secops": ("audit:read",),
        "appops": (
            "sessions:read", "webhooks:manage", "events:read", "organisation:read",
            "organisation:manage", "notifications:manage", "operations:read",
        ),
        "devops": tuple(SCOPES),
        "hospital-system": (
            *CLINIC, "recordings:delete", "webhooks:manage", "organisation:read",
        ),
        "records": (
            "sessions:read", "participants:read", "consents:read", "recordings:read",
            "recordings:share", "recordings:delete", "holds:manage", "files:read", "files:write",
            "audit:read",
        ),
        "ambulance": ("emergency:enter",),
        "clinic": CLINIC,
    }
)  # fmt: skip


def resolve(names: Iterable[str]) -> list[str]:
    """Return the scopes that a mix of scopes and names of sets stands for, in one fixed order.

    Raises:
        ValueError: a name is neither.
    """
    wanted: set[str] = set()
    for name in names:
        if name in SCOPES:
            wanted.add(name)
        elif name in SCOPE_SETS:
            wanted.update(SCOPE_SETS[name])
        else:
            raise ValueError(f"{name} is neither a scope nor a set of scopes.")
    return [scope for scope in SCOPES if scope in wanted]
