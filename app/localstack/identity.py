"""Run a program as somebody other than root, for servers that refuse root (PostgreSQL)."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65_534
SYSTEM_USER = "postgres"
SYSTEM_FOLDER = Path("/var/lib/teleconsult")
OTHERS_MAY_ENTER = 0o001


@dataclass(frozen=True)
class Identity:
    """Who a program runs as: words to put before its command line, and the owner its files need."""

    prefix: Sequence[str] = ()
    owner: pwd.struct_passwd | None = None

    def own(self, *paths: Path) -> None:
        """Give these files to the identity, where it is another user than ours."""
        if self.owner is not None:
            for path in paths:
                os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def reachable(self, folder: Path) -> Path:
        """Return the folder, or one elsewhere when this identity cannot enter it (under /root)."""
        if self.owner is None or all(
            parent.stat().st_mode & OTHERS_MAY_ENTER for parent in _existing(folder)
        ):
            return folder
        SYSTEM_FOLDER.mkdir(mode=0o711, exist_ok=True)
        return SYSTEM_FOLDER / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def unprivileged() -> Identity:
    """Return an identity that is not root.

    As root: a user namespace in which we are `nobody` (no user is made, no permission changed,
    files may lie under a private folder). Where namespaces are refused (Docker's default seccomp):
    the system's own user.
    """
    if os.geteuid() != 0:
        return Identity()
    namespace = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
        return Identity(prefix=namespace)
    return system_user()


def system_user() -> Identity:
    """Return the identity of the user that Debian's postgresql package made."""
    owner = pwd.getpwnam(SYSTEM_USER)
    words = (
        "setpriv",
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        "--",
    )
    return Identity(prefix=words, owner=owner)


def _existing(folder: Path) -> list[Path]:
    return [parent for parent in folder.parents if parent.exists()]
