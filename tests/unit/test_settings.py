"""Settings: each documented, each mistake told by the variable's name."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from app.setting_values import Rate
from app.settings import Settings, SettingsError, setting_names
from tests.conftest import repository
from tests.unit.environment import KEY, REQUIRED, SECRET, prepare


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that holds what is required, and nothing else of ours."""
    prepare(monkeypatch, {})
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_what_is_required_is_enough() -> None:
    """Everything else has a default, and these are the ones people rely on."""
    settings = Settings.from_env()
    assert settings.database_url == "postgresql+psycopg2://runtime@db/teleconsult"
    assert settings.public_url == "https://teleconsult.example"
    assert (settings.port, settings.max_room_size, settings.early_join_s) == (8080, 10, 900)
    assert settings.webhook_allow_private is False
    assert settings.jitsi_muc_domain == "muc.meet.jitsi"


def test_limits_and_origins_are_read_as_they_are_documented(
    environment: pytest.MonkeyPatch,
) -> None:
    """So many in so long, or off."""
    environment.setenv("RATE_LIMIT_CALLER", "5/10 second")
    environment.setenv("RATE_LIMIT_LINKS", "off")
    environment.setenv("CORS_ORIGINS", "https://ehr.example, http://localhost:3000/")
    settings = Settings.from_env()
    assert settings.rate_limit_caller == Rate(5, 10)
    assert settings.rate_limit_links is None
    assert settings.cors_origins == ("https://ehr.example", "http://localhost:3000")


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_setting_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    """One sentence, with the variable in it."""
    environment.delenv(name)
    with pytest.raises(SettingsError, match=name):
        Settings.from_env()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("MAX_ROOM_SIZE", "10.5"),
        ("EARLY_JOIN_S", ""),
        ("ROOM_COMMAND_TIMEOUT_S", "soon"),
        ("SMTP_STARTTLS", "perhaps"),
        ("WEBHOOK_ALLOW_PRIVATE", "2"),
        ("LINK_KEYS", ""),
        ("LINK_KEYS", KEY),
        ("LINK_KEYS", "one:short"),
        ("AUDIT_KEYS", ""),
        ("AUDIT_KEYS", "one:short"),
        ("AUDIT_RETENTION_DAYS", "0"),
        ("MASTER_KEYS", ""),
        ("MASTER_KEYS", "no fernet key"),
        ("API_TOKEN_SECRET", "***"),
        ("API_TOKEN_SECRET", "c2hvcnQ="),
        ("ROOM_EVENTS_SECRET", "whsec_***"),
        ("JITSI_PUBLIC_URL", "meet.example"),
        ("LOG_LEVEL", "LOUD"),
        ("RATE_LIMIT_CALLER", "many"),
        ("RATE_LIMIT_LINKS", ""),
        ("TRUSTED_PROXIES", "9"),
        ("STAFF_IDLE_S", "0"),
        ("CORS_ORIGINS", "ehr.example"),
        ("CORS_ORIGINS", "https://ehr.example/path"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """At the start, not at the first request that needs it; and never with a secret's value."""
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_env()
    assert name not in ("API_TOKEN_SECRET", "ROOM_EVENTS_SECRET") or value not in str(caught.value)


def test_a_secret_can_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Docker and Kubernetes hand them out; the newline of an editor does no harm."""
    for name in REQUIRED:
        path = tmp_path / name
        path.write_text(REQUIRED[name] + "\n")
        environment.delenv(name)
        environment.setenv(f"{name}_FILE", str(path))
    settings = Settings.from_env()
    assert settings.xmpp_component_secret == "component"
    assert settings.room_events_secret == (SECRET,)
    assert settings.link_keys[0].key_id == "one"


def test_a_file_that_is_not_there_is_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable or the file: the administrator must find it."""
    environment.delenv("REDIS_URL")
    environment.setenv("REDIS_URL_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"REDIS_URL|nowhere"):
        Settings.from_env()


def test_several_keys_keep_their_order(environment: pytest.MonkeyPatch) -> None:
    """The first is the current one."""
    environment.setenv("LINK_KEYS", f"new:{KEY}, old:{KEY}")
    environment.setenv("API_TOKEN_SECRET", f"whsec_{KEY},{KEY}")
    settings = Settings.from_env()
    assert [key.key_id for key in settings.link_keys] == ["new", "old"]
    assert settings.api_token_secret == (SECRET, SECRET)


@pytest.mark.usefixtures("environment")
def test_no_secret_is_shown_when_settings_are_printed() -> None:
    """A traceback or a debugger prints objects."""
    shown = repr(Settings.from_env())
    assert KEY not in shown
    assert "component'" not in shown
    assert str(SECRET) not in shown
    assert "redis://" not in shown
    assert "postgresql" not in shown


def test_every_setting_is_in_the_table_of_the_readme_once() -> None:
    """And the table holds no setting that does not exist."""
    text = (repository() / "README.md").read_text()
    section = text[text.index("\n## Settings") + 1 :].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`([A-Z0-9_]+)`", cell)]
    assert sorted(named) == sorted(setting_names())


def test_a_name_with_a_time_or_a_size_says_its_unit() -> None:
    """`timeout` alone is read as seconds by one and milliseconds by the other."""
    unclear = ("timeout", "ttl", "lease", "poll", "interval", "delay")
    for field in fields(Settings):
        last = field.name.rsplit("_", 1)[-1]
        assert last not in unclear, field.name
