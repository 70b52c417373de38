"""The Jitsi half of the container files: harmful defaults are changed, our modules wired in."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.files.jitsi import MOST_BYTES
from app.files.kinds import MIB

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGINS = CHECKOUT / "prosody-plugins"
PROSODY_CONFIG = CHECKOUT / "jitsi-config" / "prosody" / "conf.d" / "zz-teleconsult.cfg.lua"
COMPOSE = (CHECKOUT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service]["environment"].items()}


# docs/deployment.md says of each why.
@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("jicofo", "JICOFO_ENABLE_AUTH", "0"),
        ("jicofo", "ENABLE_AUTO_OWNER", "0"),
        ("jicofo", "JICOFO_ENABLE_REST", "0"),
        ("jvb", "JVB_DISABLE_STUN", "1"),
        ("jvb", "COLIBRI_REST_ENABLED", "0"),
        ("prosody", "AUTH_TYPE", "jwt"),
        ("prosody", "ENABLE_GUESTS", "0"),
        ("prosody", "ENABLE_BREAKOUT_ROOMS", "0"),
        ("prosody", "ENABLE_LOBBY", "0"),
        ("prosody", "ENABLE_AV_MODERATION", "1"),
        ("prosody", "JWT_ALLOW_EMPTY", "0"),
        ("prosody", "JWT_SIGN_TYPE", "RS256"),
        ("prosody", "JWT_ENABLE_DOMAIN_VERIFICATION", "true"),
        ("prosody", "JWT_ASAP_KEYSERVER", "http://api:8080/jitsi/keys"),
        ("prosody", "LOG_LEVEL", "info"),
        ("web", "ENABLE_GUESTS", "0"),
        ("web", "DISABLE_LOCAL_RECORDING", "1"),
    ],
)
def test_jitsi_is_told_otherwise(service: str, name: str, value: str) -> None:
    assert environment(service)[name] == value


def test_prosody_and_the_api_agree_on_the_tokens() -> None:
    prosody, api = environment("prosody"), environment("api")
    assert prosody["JWT_ACCEPTED_ISSUERS"] == api["JITSI_JWT_ISSUER"]
    assert prosody["JWT_ACCEPTED_AUDIENCES"] == api["JITSI_JWT_AUDIENCE"]
    assert not {"JWT_APP_SECRET", "PROSODY_ADMINS"} & set(prosody)


@pytest.mark.parametrize(
    ("variable", "ours", "of_jitsi"),
    [
        (
            "XMPP_MODULES",
            {"teleconsult_gate", "teleconsult_guard", "teleconsult_files"},
            {"presence_identity", "filter_iq_jibri"},
        ),
        ("GLOBAL_MODULES", {"teleconsult_heap"}, set()),
        (
            "XMPP_MUC_MODULES",
            {
                "teleconsult_room",
                "teleconsult_control",
                "teleconsult_conduct",
                "teleconsult_waiting",
                "teleconsult_recording",
                "teleconsult_files",
            },
            {"muc_cleanup_backend_services"},
        ),
    ],
)
def test_the_modules_are_loaded_and_ours_exist(
    variable: str, ours: set[str], of_jitsi: set[str]
) -> None:
    assert set(environment("prosody")[variable].split(",")) == ours | of_jitsi
    assert all((PLUGINS / f"mod_{name}.lua").is_file() for name in ours)


@pytest.mark.parametrize(
    "option", re.findall(r"^\s*(teleconsult_\w+) =", PROSODY_CONFIG.read_text(), flags=re.MULTILINE)
)
def test_some_module_reads_the_option(option: str) -> None:
    sources = [path.read_text() for path in PLUGINS.rglob("*.lua") if "spec" not in path.parts]
    assert any(f'"{option}"' in source for source in sources)


def test_the_prosody_file_sets_nothing_that_the_image_sets_beside_it() -> None:
    names = set(re.findall(r"^\s*(\w+) =", PROSODY_CONFIG.read_text(), flags=re.MULTILINE))
    replaced = {"component_ports", "component_interfaces", "network_settings"}
    added = {"token_verification_allowlist", "component_secret", "component_conflict_resolve"}
    # Of the lobby's component, which is ours: the image makes none with ENABLE_LOBBY=0.
    ours = {"modules_enabled", "storage", "restrict_room_creation", "muc_room_locking"}
    found = {name for name in names if not name.startswith("teleconsult_")}
    assert found == replaced | added | ours


def load_prosody_config(*secrets: str) -> subprocess.CompletedProcess[str]:
    """Run the file as Prosody 13 does: options are globals, ENV_x a variable, Lua the library."""
    harness = (
        "local options = {} local env = setmetatable({ Lua = _G, Component = function(name) "
        "return function() end end }, { __newindex = options, __index = function(_, k) "
        'return k:match("^ENV_") and os.getenv(k:sub(5)) or nil end }) '
        'assert(loadfile(arg[1], "t", env))() '
        "print(options.teleconsult_api_secret, options.component_secret)"
    )
    lua = shutil.which("lua5.4") or "lua"
    given = dict.fromkeys(secrets, "new,old")
    command = [lua, "-", str(PROSODY_CONFIG)]
    return subprocess.run(
        command, input=harness, env=os.environ | given, capture_output=True, text=True, check=False
    )


def test_prosody_signs_with_the_first_of_several_secrets() -> None:
    done = load_prosody_config("ROOM_EVENTS_SECRET", "XMPP_COMPONENT_SECRET")
    assert done.stdout.split() == ["new", "new,old"], done.stderr


@pytest.mark.parametrize("forgotten", ["ROOM_EVENTS_SECRET", "XMPP_COMPONENT_SECRET"])
def test_prosody_does_not_start_without_a_secret(forgotten: str) -> None:
    done = load_prosody_config(*{"ROOM_EVENTS_SECRET", "XMPP_COMPONENT_SECRET"} - {forgotten})
    assert done.returncode
    assert f"{forgotten} is not set" in done.stderr


def test_no_third_party_is_asked_for_addresses_or_pictures() -> None:
    text = (CHECKOUT / "jitsi-config" / "web" / "custom-config.js").read_text()
    assert "config.p2p.stunServers = [];" in text
    assert "config.disableThirdPartyRequests = true;" in text


def test_files_go_to_the_service_and_no_further_than_it_takes_them() -> None:
    web = CHECKOUT / "jitsi-config" / "web"
    text = (web / "custom-config.js").read_text()
    assert "apiUrl: `${window.location.origin}/jitsi/documents`" in text
    assert f"maxFileSize: {MOST_BYTES // MIB} * 1024 * 1024" in text
    nginx = (web / "nginx-custom" / "teleconsult.conf").read_text()
    (most,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(most) * MIB > MOST_BYTES
    assert "/config/nginx-custom/teleconsult.conf:ro" in COMPOSE
    _, _, downloads = nginx.partition("location ^~ /downloads/")
    assert "access_log off;" in downloads
    assert "proxy_max_temp_file_size 0;" in downloads


def test_jitsis_own_file_sharing_is_not_loaded_beside_ours() -> None:
    assert 'Component "filesharing.meet.jitsi" "teleconsult_files"' in PROSODY_CONFIG.read_text()
    loaded = ",".join(environment("prosody").values())
    assert "short_lived_token" not in loaded
    assert "filesharing_component" not in loaded


def test_nginx_understands_what_stands_in_jitsis_own_site(tmp_path: Path) -> None:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx was not found; run script/bootstrap"
    ours = CHECKOUT / "jitsi-config" / "web" / "nginx-custom"
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/pid; error_log stderr crit; events {{}} http {{ resolver 127.0.0.1; "
        f"server {{ listen 127.0.0.1:80; include {ours}/*.conf; }} }}"
    )
    done = subprocess.run(
        [program, "-t", "-q", "-c", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
