"""What can be proved about the container files without a Docker engine: see docs/deployment.md."""

import ipaddress
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, setting_names

CHECKOUT = Path(__file__).resolve().parents[2]
GENERATE = CHECKOUT / "jitsi-config" / "generate-secrets"
COMPOSE_TEXT = (CHECKOUT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NETWORKS: dict[str, dict[str, Any] | None] = COMPOSE["networks"]
ENV_EXAMPLE = (CHECKOUT / ".env.example").read_text()
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
NGINX_SITE = (CHECKOUT / "jitsi-config" / "web" / "site-confs" / "teleconsult").read_text()

OURS = ["api", "stream", "relay", "worker", "gateway", "migrate"]
JITSI = ["web", "prosody", "jicofo", "jvb", "jibri"]
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::(-|\?)([^}]*))?\}")
CHOSEN_BY_A_PERSON = {
    "PUBLIC_URL": "https://teleconsult.hospital.example",
    "JITSI_PUBLIC_URL": "https://meet.hospital.example",
    "MEDIA_IP": "203.0.113.7",
    "MAIL_FROM": "sessions@hospital.example",
}


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", text, flags=re.MULTILINE))


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def networks(service: str) -> set[str]:
    return set(SERVICES[service].get("networks", []))


def generate(output: Path, *options: str) -> dict[str, str]:
    subprocess.run(
        [sys.executable, GENERATE, "--output", output, *options], check=True, capture_output=True
    )
    return assignments(output.read_text())


def interpolated(text: str, values: dict[str, str]) -> str:
    return VARIABLE.sub(lambda match: values.get(match[1]) or match[3] or "", text)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return generate(tmp_path_factory.mktemp("deployment") / "env") | CHOSEN_BY_A_PERSON


# ---- images


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in OURS])
def test_every_foreign_image_has_a_fixed_tag(service: str) -> None:
    image = interpolated(SERVICES[service]["image"], assignments(ENV_EXAMPLE))
    registry, tag = image.split("/")[0], image.rpartition(":")[2]
    assert registry in {"docker.io", "ghcr.io"}
    assert re.fullmatch(r"stable-\d+(-\d+)?|\d+\.\d+(\.\d+)?(-bookworm)?", tag), image


def test_one_version_serves_all_jitsi_images_and_has_no_silent_default() -> None:
    assert {SERVICES[name]["image"].rpartition(":${")[2] for name in JITSI} == {
        "JITSI_IMAGE_VERSION:?}"
    }


@pytest.mark.parametrize("image", re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE))
def test_the_image_is_built_on_fixed_tags(image: str) -> None:
    assert re.fullmatch(r"(node|python):\d+\.\d+\.\d+-(slim-bookworm|bookworm-slim)", image)


@pytest.mark.parametrize(
    "line",
    [
        "--require-hashes --only-binary :all: -r requirements.txt",
        "npm ci --omit=dev --ignore-scripts",
        "USER 10001:10001",
        "HEALTHCHECK",
        "/health",
        'ENTRYPOINT ["teleconsult"]',
    ],
)
def test_the_image_is_built_as_promised(line: str) -> None:
    assert line in DOCKERFILE


def test_the_image_takes_only_what_is_served_from_the_browser_stage() -> None:
    copied = re.findall(r"COPY --from=browser (\S+)", DOCKERFILE)
    assert copied == ["/build/node_modules/swagger-ui-dist"]
    assert "requirements-dev" not in DOCKERFILE


def test_the_builder_sees_nothing_but_what_the_image_is_made_of() -> None:
    rules = (CHECKOUT / ".dockerignore").read_text().splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE))
    assert "*" in rules
    assert allowed == {name for line in copied for name in line.split()}


def test_the_sweep_sees_what_the_recorder_has_open() -> None:
    """`finalize` looks in /proc whether anybody still writes; its container must show Jibri's."""
    assert SERVICES["jibri-sweep"]["pid"] == "service:jibri"


def test_the_worker_has_room_to_encode_in() -> None:
    """More than the little that everything else gets."""
    (scratch,) = SERVICES["worker"]["tmpfs"]
    assert scratch == "/tmp:size=${WORKER_SCRATCH:-2G},mode=1777,noexec"


# ---- variables


def test_every_variable_is_in_the_example_and_every_one_there_is_used() -> None:
    assert {match[0] for match in VARIABLE.findall(COMPOSE_TEXT)} == set(assignments(ENV_EXAMPLE))


@pytest.mark.parametrize("paragraph", re.split(r"\n(?=#)|\n\n", ENV_EXAMPLE))
def test_every_variable_is_explained(paragraph: str) -> None:
    assert not assignments(paragraph) or paragraph.startswith(("#", "\n#"))


@pytest.mark.parametrize("name", [*CHOSEN_BY_A_PERSON, "TLS_DIR", "JITSI_IMAGE_VERSION"])
def test_compose_stops_when_a_person_has_not_decided(name: str) -> None:
    uses = [match for match in VARIABLE.findall(COMPOSE_TEXT) if match[0] == name]
    assert uses
    assert all(operator == "?" for _, operator, _ in uses)


@pytest.mark.parametrize(
    "name", [n for n, v in assignments(ENV_EXAMPLE).items() if "<generate" in v]
)
def test_no_secret_has_a_default(name: str) -> None:
    uses = [match for match in VARIABLE.findall(COMPOSE_TEXT) if match[0] == name]
    # The relay is optional; without a name for it Prosody offers none, whatever the secret.
    assert uses
    assert all(op == "?" or (name == "TURN_SECRET" and not default) for _, op, default in uses)


def test_generated_secrets_are_private_complete_and_stay(tmp_path: Path) -> None:
    output = tmp_path / "env"
    first = generate(output)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert set(first) == set(assignments(ENV_EXAMPLE))
    assert not any("<generate" in value for value in first.values())
    assert first["JIBRI_XMPP_PASSWORD"] == ""
    output.write_text(
        output.read_text().replace("MEDIA_IP=", "MEDIA_IP=203.0.113.7") + "MINE=kept\n"
    )
    again = generate(output, "--recording")
    recorder = {"JIBRI_XMPP_PASSWORD": "", "JIBRI_RECORDER_PASSWORD": ""}
    assert all(again[name] for name in recorder)
    assert again | recorder == first | {"MEDIA_IP": "203.0.113.7", "MINE": "kept"}


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    one, two = generate(tmp_path / "one"), generate(tmp_path / "two")
    secret = {name for name, value in assignments(ENV_EXAMPLE).items() if "<generate" in value}
    assert all(one[name] != two[name] for name in secret)
    assert len({one[name] for name in secret}) == len(secret)


def test_git_ignores_the_file_with_the_secrets() -> None:
    assert (
        subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=CHECKOUT, check=False).returncode
        == 0
    )


# ---- our processes


@pytest.mark.parametrize("service", OURS)
def test_each_process_starts_with_the_settings_it_is_given(
    service: str, filled: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: interpolated(value, filled) for name, value in environment(service).items()}
    assert set(given) <= set(setting_names())
    for name in os.environ.keys() & {*setting_names(), *(f"{n}_FILE" for n in setting_names())}:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().jitsi_muc_domain == "muc.meet.jitsi"


@pytest.mark.parametrize(
    ("variable", "holders"),
    [
        ("POSTGRES_PASSWORD", {"postgres"}),
        ("OWNER_DATABASE_PASSWORD", {"postgres", "migrate"}),
        ("SMTP_PASSWORD", {"worker"}),
        ("NOTIFICATION_SERVICE_SECRET", {"worker"}),
        ("SMS_GATEWAY_TOKEN", {"worker"}),
        ("JICOFO_AUTH_PASSWORD", {"prosody", "jicofo"}),
        ("JVB_AUTH_PASSWORD", {"prosody", "jvb"}),
        ("JIBRI_XMPP_PASSWORD", {"prosody", "jibri"}),
        ("ROOM_EVENTS_SECRET", {*OURS, "prosody"}),
        ("MASTER_KEYS", {*OURS}),
    ],
)
def test_a_secret_is_only_where_it_is_needed(variable: str, holders: set[str]) -> None:
    assert {name for name in SERVICES if f"${{{variable}:" in str(SERVICES[name])} == holders


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_has_a_read_only_root(service: str) -> None:
    assert SERVICES[service]["read_only"] is True


@pytest.mark.parametrize("service", OURS)
def test_our_processes_have_no_privileges(service: str) -> None:
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


# ---- what can be reached from where


def test_nothing_else_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${API_PORT:-8080}:8080"],
        "web": ["${HTTP_PORT:-80}:8000", "${HTTPS_PORT:-443}:8443"],
        "jvb": ["${JVB_PORT:-10000}:${JVB_PORT:-10000}/udp"],
    }


@pytest.mark.parametrize(
    "service", ["postgres", "redis", "prosody", "jicofo", "relay", "gateway", "migrate"]
)
def test_internal_services_have_no_way_out_or_in(service: str) -> None:
    assert networks(service)
    assert all((NETWORKS[name] or {}).get("internal") for name in networks(service))


def test_the_sender_of_webhooks_cannot_reach_prosody() -> None:
    assert "xmpp" not in networks("worker")


def test_the_scanner_reaches_neither_data_nor_people() -> None:
    """It meets malware first. Worker and API find it; its way out is its own."""
    others = {name for one in SERVICES if one != "clamav" for name in networks(one)}
    assert networks("clamav") & others == {"scan"}
    assert {one for one in SERVICES if "scan" in networks(one)} == {"api", "worker", "clamav"}
    assert (NETWORKS["scan"] or {})["internal"]


def test_prosody_trusts_the_address_that_the_proxy_has() -> None:
    address = SERVICES["web"]["networks"]["xmpp"]["ipv4_address"]
    assert environment("prosody")["PROSODY_TRUSTED_PROXIES"].split(",")[-1] == address
    assert str(NETWORKS["xmpp"]).count(address.removesuffix(".10")) == 1


@pytest.mark.parametrize("path", ["^~ /internal/", "= /metrics"])
def test_the_public_site_hides_what_is_for_the_inside(path: str) -> None:
    assert f"location {path} {{ return 404; }}" in NGINX_SITE


def test_the_public_site_logs_no_link_code() -> None:
    assert (
        NGINX_SITE.count("server {") == NGINX_SITE.count("access_log /dev/stdout teleconsult;") == 2
    )
    assert NGINX_SITE.count("error_log /dev/stderr crit;") == 2
    log_format = re.search(r"log_format teleconsult .*", NGINX_SITE)
    assert log_format
    assert not re.search(r"\$(request|request_uri|uri|args)\b", log_format[0])


@pytest.mark.parametrize(
    ("path", "logged"),
    {
        "/j/secret": "/j/[code]",
        "/j/secret/consent": "/j/[code]/consent",
        "/p/secret": "/p/[code]",
        "/p/secret/views": "/p/[code]/views",
        "/stream/j/secret": "/stream/j/[code]",
        "/downloads/secret": "/downloads/[ticket]",
        "/playback/id/id/video": "/playback/id/id/video",
    }.items(),
)
def test_what_the_public_site_logs_of_an_address(path: str, logged: str) -> None:
    """By its own map, read as nginx does: the first pattern that fits."""
    entries = re.findall(r'^ +"~(\S+)" "(\S+)";$', NGINX_SITE, flags=re.MULTILINE)
    assert entries
    fit = [(re.search(like.replace("(?<", "(?P<"), path), shown) for like, shown in entries]
    found, shown = next((one for one in fit if one[0]), (None, path))
    for name, value in (found.groupdict() if found else {}).items():
        shown = shown.replace(f"${name}", value or "")
    assert shown == logged


def test_what_people_are_seen_in_is_on_no_disk_of_nginx() -> None:
    """A buffer of nginx may become a file, unless it is told otherwise."""
    place = re.search(r"location ~ (\S+) {(.*?)}", NGINX_SITE, flags=re.DOTALL)
    assert place
    assert all(re.match(place[1], f"/{way}/x") for way in ("uploads", "downloads", "playback"))
    assert "proxy_max_temp_file_size 0;" in place[2]
    assert "send_timeout 20s;" in place[2]
    assert "proxy_request_buffering off;" in place[2]


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "127.0.0.1", "169.254.169.254", "172.30.77.1", "192.168.1.1", "::1", "fd00::1"],
)
def test_the_media_relay_leads_nowhere_private(address: str) -> None:
    text = (CHECKOUT / "jitsi-config" / "coturn" / "turnserver.conf").read_text()
    ranges = [
        line.partition("-")
        for line in re.findall(r"^denied-peer-ip=(.+)$", text, flags=re.MULTILINE)
    ]
    wanted = int(ipaddress.ip_address(address))
    same = [
        (first, last or first) for first, _, last in ranges if (":" in first) == (":" in address)
    ]
    assert any(
        int(ipaddress.ip_address(a)) <= wanted <= int(ipaddress.ip_address(b)) for a, b in same
    )


def test_the_files_name_no_host_outside_but_the_two_image_registries() -> None:
    files = [
        CHECKOUT / "Dockerfile",
        CHECKOUT / "docker-compose.yml",
        *(CHECKOUT / "jitsi-config").rglob("*"),
    ]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    assert set(re.findall(r"\w+://([\w.-]+)", text)) <= {
        "api",
        "stream",
        "role_telehealth",
        "teleconsult_owner",
        "127.0.0.1",
    }
