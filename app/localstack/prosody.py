"""Prosody 13 (0.12 works too) with our modules, configured for one machine without TLS."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.localstack import names
from app.localstack.credentials import Secrets, write_private
from app.localstack.lua import Raw, Value, options
from app.localstack.ports import has_ipv6_loopback
from app.localstack.process import Launch, Part, PartFailed

PLUGINS = Path(__file__).resolve().parents[2] / "prosody-plugins"
HTTP_ANSWERED = range(200, 500)


@dataclass(frozen=True)
class ProsodyOptions:
    """What a test may want different."""

    # False: no token and no admission, for comparing with a Prosody that knows nothing of us.
    with_our_modules: bool = True
    # Our modules of the whole server, and, when ours are on, of the virtual host and of the MUC; a
    # benchmark leaves some out.
    global_modules: tuple[str, ...] = ("teleconsult_heap",)
    host_modules: tuple[str, ...] = (
        "teleconsult_gate",
        "teleconsult_guard",
        "teleconsult_avmoderation",
        "teleconsult_files",
    )
    muc_modules: tuple[str, ...] = (
        "teleconsult_room",
        "teleconsult_control",
        "teleconsult_conduct",
        "teleconsult_avmoderation",
        "teleconsult_waiting",
        "teleconsult_recording",
        "teleconsult_files",
        "teleconsult_meeting",
    )
    log_level: str = "info"
    extra: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ProsodyPorts:
    """Ports of Prosody, and those of the servers it must know."""

    http: int
    component: int
    api: int
    turn: int | None


class Prosody(Part):
    """The XMPP server that holds the rooms."""

    name = "prosody"

    def __init__(
        self,
        folder: Path,
        *,
        ports: ProsodyPorts,
        secrets: Secrets,
        settings: ProsodyOptions | None = None,
    ) -> None:
        super().__init__(folder)
        self.ports = ports
        self.settings = settings or ProsodyOptions()
        self._secrets = secrets
        self._config = folder / "prosody.cfg.lua"

    @property
    def websocket_url(self) -> str:
        """URL a browser on this machine connects to."""
        return f"ws://{names.DOMAIN}:{self.ports.http}/xmpp-websocket"

    def prepare(self) -> None:
        """Write the configuration."""
        (self.folder / "data").mkdir(exist_ok=True)
        write_private(self._config, self.config())

    def launch(self) -> Launch:
        """Return the command line: in the foreground, with our file instead of the machine's."""
        program = shutil.which("prosody")
        if program is None:
            raise PartFailed(self.name, "prosody was not found; run script/bootstrap")
        return Launch([program, "--config", str(self._config), "-F"])

    def is_ready(self) -> bool:
        """Tell whether the websocket exists: the port opens before all hosts are loaded."""
        link = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=1)
        # One that is just starting may take the connection and then drop it.
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(link):
            link.request("GET", "/xmpp-websocket")
            status = link.getresponse().status
            return status in HTTP_ANSWERED and status != http.HTTPStatus.NOT_FOUND
        return False

    def config(self) -> str:
        """Return the text of the configuration file."""
        sections = [
            options(self._global_options()),
            f'VirtualHost "{names.DOMAIN}"',
            options(self._host_options()),
            f'Component "{names.MUC}" "muc"',
            options(self._muc_options()),
            f'Component "{names.LOBBY}" "muc"',
            options(self._lobby_options()),
            f'Component "{names.FOCUS}"',
            options({"component_secret": self._secrets.focus}),
            f'Component "{names.RECORDER_DOMAIN}"',
            options({"component_secret": self._secrets.recorder}),
            f'Component "{names.BREWERY_DOMAIN}" "muc"',
            options({"muc_room_locking": False}),
            f'Component "{names.GATEWAY}"',
            # Who has the lock of the gateways counts, not who came first and may be frozen.
            options(
                {
                    "component_secret": self._secrets.gateway,
                    "component_conflict_resolve": "kick_old",
                }
            ),
        ]
        with_stand_in = "teleconsult_avmoderation" in self.settings.host_modules
        if self.settings.with_our_modules and with_stand_in:
            sections.append(f'Component "{names.AV_MODERATION}" "teleconsult_avmoderation"')
        if self.settings.with_our_modules and "teleconsult_files" in self.settings.host_modules:
            sections.append(f'Component "{names.FILE_SHARING}" "teleconsult_files"')
        return "\n".join(sections)

    def _global_options(self) -> dict[str, Value]:
        return {
            "run_as_root": os.geteuid() == 0,
            "pidfile": str(self.folder / "prosody.pid"),
            "data_path": str(self.folder / "data"),
            "plugin_paths": [str(PLUGINS)],
            "log": Raw(self._log_sink()),
            "storage": "memory",
            "modules_enabled": ["disco", "saslauth", "ping", *self.settings.global_modules],
            "modules_disabled": ["s2s", "s2s_auth_certs", "tls", "offline", "roster"],
            "c2s_require_encryption": False,
            "allow_unencrypted_plain_auth": False,
            # An answer must not wait for the peer's delayed ACK: 3 ms instead of 30 ms a command.
            "network_settings": Raw("{ nagle = false }"),
            "statistics": False,
            **self._listeners(),
            **self._our_options(),
            **self.settings.extra,
        }

    def _log_sink(self) -> str:
        level = self.settings.log_level
        return f'{{ {{ levels = {{ min = "{level}" }}, to = "console", timestamps = true }} }}'

    def _listeners(self) -> dict[str, Value]:
        loopback: Value = ["127.0.0.1", "::1"] if has_ipv6_loopback() else ["127.0.0.1"]
        return {
            "interfaces": loopback,
            "http_interfaces": loopback,
            "http_ports": [self.ports.http],
            "https_ports": Raw("{}"),
            "c2s_ports": Raw("{}"),
            "c2s_direct_tls_ports": Raw("{}"),
            "legacy_ssl_ports": Raw("{}"),
            "s2s_ports": Raw("{}"),
            "component_interfaces": ["127.0.0.1"],
            "component_ports": [self.ports.component],
            "http_default_host": names.DOMAIN,
            "consider_websocket_secure": True,
            "consider_bosh_secure": True,
        }

    def _our_options(self) -> dict[str, Value]:
        api = f"http://127.0.0.1:{self.ports.api}"
        return {
            "teleconsult_api_url": api,
            "teleconsult_api_secret": self._secrets.room_events,
            "teleconsult_api_timeout": 5,
            "teleconsult_key_server": f"{api}/jitsi/keys",
            "teleconsult_issuer": names.TOKEN_ISSUER,
            "teleconsult_audience": names.TOKEN_AUDIENCE,
            "teleconsult_gateway": names.GATEWAY,
            "teleconsult_focus": names.FOCUS,
            "teleconsult_lobby": names.LOBBY,
            "teleconsult_hidden_domain": names.RECORDER_DOMAIN,
            "teleconsult_av_moderation": names.AV_MODERATION,
            "teleconsult_file_sharing": names.FILE_SHARING,
        }

    def _host_options(self) -> dict[str, Value]:
        turn_modules = ["external_services", "turn_external"] if self.ports.turn else []
        ours = list(self.settings.host_modules) if self.settings.with_our_modules else []
        return {
            "authentication": "teleconsult" if self.settings.with_our_modules else "anonymous",
            "modules_enabled": ["websocket", "bosh", "smacks", *turn_modules, *ours],
            # A browser that lost its network has this long to come back before it counts as gone.
            "smacks_hibernation_time": 60,
            **self._turn_options(),
        }

    def _turn_options(self) -> dict[str, Value]:
        if self.ports.turn is None:
            return {}
        return {
            "turn_external_host": "127.0.0.1",
            "turn_external_port": self.ports.turn,
            "turn_external_secret": self._secrets.turn,
            "turn_external_tcp": True,
            "turn_external_ttl": 86_400,
        }

    def _muc_options(self) -> dict[str, Value]:
        return {
            "modules_enabled": list(self.settings.muc_modules)
            if self.settings.with_our_modules
            else [],
            "admins": [names.FOCUS_USER],
            "component_admins_as_room_owners": True,
            "restrict_room_creation": True,
            "muc_room_locking": False,
            # Clients recognise the focus by its real address, so everybody must see it.
            "muc_room_default_public_jids": True,
            # The default of 100 swaps rooms in use out, at 10 to 40 times the cost of a join.
            "muc_room_cache_size": 10_000,
        }

    def _lobby_options(self) -> dict[str, Value]:
        ours = ["teleconsult_lobby"] if self.settings.with_our_modules else []
        return {
            "modules_enabled": ours,
            # The module makes the rooms: the MUC would make the first to come an owner.
            "restrict_room_creation": True,
            "muc_room_locking": False,
        }
