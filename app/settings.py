"""Every setting of the service, read once from the environment. The only reader of `os.environ`.

A secret may come from a file instead: `NAME_FILE` holds its path (Docker, Kubernetes).
The table in the README is checked against this module.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from environs import EnvError, FileAwareEnv
from marshmallow import validate

from app.setting_values import (
    AuditKey,
    LinkKey,
    Rate,
    audit_key,
    clamd_address,
    each,
    fernet_key,
    link_key,
    optional_url,
    origins,
    rate,
    signing_secrets,
    with_driver,
)
from app.signing import decode_secret

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(Exception):
    """A setting is missing or cannot be understood; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditorSettings:
    """What `teleconsult audit verify` needs: far less than a process of the service."""

    database_url: str = field(repr=False)
    audit_keys: tuple[AuditKey, ...] = field(repr=False)
    audit_anchor_file: str

    @staticmethod
    def from_env() -> "AuditorSettings":
        """Read them.

        Raises:
            SettingsError: a required variable is missing or cannot be understood.
        """
        env = FileAwareEnv(strip_whitespace=True)
        try:
            return AuditorSettings(
                database_url=with_driver(env.str("DATABASE_URL")),
                audit_keys=each(env, "AUDIT_KEYS", audit_key),
                audit_anchor_file=env.str("AUDIT_ANCHOR_FILE", ""),
            )
        except (EnvError, ValueError) as error:
            raise SettingsError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one process. Units are in the names; times in seconds."""

    database_url: str = field(repr=False)
    migration_database_url: str = field(repr=False)
    database_pool_size: int
    redis_url: str = field(repr=False)
    public_url: str
    host: str
    port: int
    stream_url: str
    stream_port: int
    api_workers: int
    api_threads: int
    log_level: str
    max_room_size: int
    early_join_s: int
    link_ttl_s: int
    jitsi_token_ttl_s: int
    api_token_ttl_s: int
    staff_idle_s: int
    staff_session_s: int
    trusted_proxies: int
    cors_origins: tuple[str, ...]
    rate_limit_caller: Rate | None
    rate_limit_address: Rate | None
    rate_limit_sign_in: Rate | None
    rate_limit_links: Rate | None
    audit_refusals: Rate | None
    metrics_token: str = field(repr=False)
    link_keys: tuple[LinkKey, ...] = field(repr=False)
    master_keys: tuple[str, ...] = field(repr=False)
    api_token_secret: tuple[bytes, ...] = field(repr=False)
    room_events_secret: tuple[bytes, ...] = field(repr=False)
    recorder_secret: tuple[bytes, ...] = field(repr=False)
    jitsi_public_url: str
    jitsi_xmpp_domain: str
    jitsi_muc_domain: str
    jitsi_focus_domain: str
    jitsi_hidden_domain: str
    jitsi_websocket_url: str
    jitsi_jwt_issuer: str
    jitsi_jwt_audience: str
    xmpp_component_host: str
    xmpp_component_port: int
    xmpp_component_jid: str
    xmpp_component_secret: str = field(repr=False)
    room_command_timeout_s: float
    smtp_host: str
    smtp_port: int
    smtp_username: str
    smtp_password: str = field(repr=False)
    smtp_starttls: bool
    mail_from: str
    notification_service_url: str
    notification_service_secret: tuple[bytes, ...] = field(repr=False)
    sms_gateway_url: str
    sms_gateway_token: str = field(repr=False)
    notification_timeout_s: float
    directory_timeout_s: float
    webhook_timeout_s: float
    webhook_allow_private: bool
    delivery_lease_s: int
    delivery_attempts: int
    relay_poll_s: float
    audit_keys: tuple[AuditKey, ...] = field(repr=False)
    audit_anchor_file: str
    audit_anchor_every_s: float
    audit_retention_days: int
    file_store_folder: str
    s3_bucket: str
    s3_endpoint_url: str
    s3_region: str
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    clamd_address: str
    recording_lease_s: int

    @staticmethod
    def from_env() -> "Settings":
        """Read the settings of this process.

        Raises:
            SettingsError: a required variable is missing or cannot be understood.
        """
        env = FileAwareEnv(strip_whitespace=True)
        try:
            return Settings(
                **_service(env),
                **_access(env),
                **_secrets(env),
                **_jitsi(env),
                **_outside(env),
                **_audit(env),
                **_files(env),
            )
        except (EnvError, ValueError) as error:
            raise SettingsError(str(error)) from error


def setting_names() -> list[str]:
    """Return the environment names of all settings, in the order they are declared."""
    return [f.name.upper() for f in fields(Settings)]


def _service(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "database_url": with_driver(env.str("DATABASE_URL")),
        "migration_database_url": with_driver(env.str("MIGRATION_DATABASE_URL", "")),
        "database_pool_size": env.int("DATABASE_POOL_SIZE", 6, validate=validate.Range(1)),
        "redis_url": env.str("REDIS_URL"),
        "public_url": env.str("PUBLIC_URL").rstrip("/"),
        "host": env.str("HOST", "127.0.0.1"),
        "port": env.int("PORT", 8080),
        "stream_url": optional_url(env, "STREAM_URL"),
        "stream_port": env.int("STREAM_PORT", 8081),
        "api_workers": env.int("API_WORKERS", 2),
        "api_threads": env.int("API_THREADS", 6, validate=validate.Range(1)),
        "log_level": env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(LOG_LEVELS)),
        "max_room_size": env.int("MAX_ROOM_SIZE", 10, validate=validate.Range(1, 100)),
        "early_join_s": env.int("EARLY_JOIN_S", 900),
        "link_ttl_s": env.int("LINK_TTL_S", 604_800),
        "jitsi_token_ttl_s": env.int("JITSI_TOKEN_TTL_S", 43_200),
        "api_token_ttl_s": env.int("API_TOKEN_TTL_S", 900),
    }


def _access(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "staff_idle_s": env.int("STAFF_IDLE_S", 1_800, validate=validate.Range(1)),
        "staff_session_s": env.int("STAFF_SESSION_S", 36_000, validate=validate.Range(1)),
        "trusted_proxies": env.int("TRUSTED_PROXIES", 0, validate=validate.Range(0, 5)),
        "cors_origins": origins(env),
        "rate_limit_caller": rate(env, "RATE_LIMIT_CALLER", "30000/minute"),
        "rate_limit_address": rate(env, "RATE_LIMIT_ADDRESS", "1200/minute"),
        "rate_limit_sign_in": rate(env, "RATE_LIMIT_SIGN_IN", "20/minute"),
        "rate_limit_links": rate(env, "RATE_LIMIT_LINKS", "60/minute"),
        "audit_refusals": rate(env, "AUDIT_REFUSALS", "600/hour"),
        "metrics_token": env.str("METRICS_TOKEN", ""),
    }


def _secrets(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "link_keys": each(env, "LINK_KEYS", link_key),
        "master_keys": each(env, "MASTER_KEYS", fernet_key),
        "api_token_secret": each(env, "API_TOKEN_SECRET", decode_secret),
        "room_events_secret": each(env, "ROOM_EVENTS_SECRET", decode_secret),
        "recorder_secret": signing_secrets(env, "RECORDER_SECRET"),
        "xmpp_component_secret": env.str("XMPP_COMPONENT_SECRET"),
        "smtp_password": env.str("SMTP_PASSWORD", ""),
        "notification_service_secret": signing_secrets(env, "NOTIFICATION_SERVICE_SECRET"),
        "sms_gateway_token": env.str("SMS_GATEWAY_TOKEN", ""),
    }


def _jitsi(env: FileAwareEnv) -> dict[str, Any]:
    domain = env.str("JITSI_XMPP_DOMAIN", "meet.jitsi")
    return {
        "jitsi_public_url": optional_url(env, "JITSI_PUBLIC_URL"),
        "jitsi_xmpp_domain": domain,
        "jitsi_muc_domain": env.str("JITSI_MUC_DOMAIN", f"muc.{domain}"),
        "jitsi_focus_domain": env.str("JITSI_FOCUS_DOMAIN", f"focus.{domain}"),
        "jitsi_hidden_domain": env.str("JITSI_HIDDEN_DOMAIN", f"hidden.{domain}"),
        "jitsi_websocket_url": env.str("JITSI_WEBSOCKET_URL", ""),
        "jitsi_jwt_issuer": env.str("JITSI_JWT_ISSUER", "teleconsult"),
        "jitsi_jwt_audience": env.str("JITSI_JWT_AUDIENCE", "jitsi"),
        "xmpp_component_host": env.str("XMPP_COMPONENT_HOST", "127.0.0.1"),
        "xmpp_component_port": env.int("XMPP_COMPONENT_PORT", 5347),
        "xmpp_component_jid": env.str("XMPP_COMPONENT_JID", f"gateway.{domain}"),
        "room_command_timeout_s": env.float("ROOM_COMMAND_TIMEOUT_S", 2.0),
    }


def _outside(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "smtp_host": env.str("SMTP_HOST", ""),
        "smtp_port": env.int("SMTP_PORT", 587),
        "smtp_username": env.str("SMTP_USERNAME", ""),
        "smtp_starttls": env.bool("SMTP_STARTTLS", True),
        "mail_from": env.str("MAIL_FROM", "teleconsult@localhost"),
        "notification_service_url": optional_url(env, "NOTIFICATION_SERVICE_URL"),
        "sms_gateway_url": optional_url(env, "SMS_GATEWAY_URL"),
        "notification_timeout_s": env.float("NOTIFICATION_TIMEOUT_S", 15.0),
        "directory_timeout_s": env.float("DIRECTORY_TIMEOUT_S", 2.0),
        "webhook_timeout_s": env.float("WEBHOOK_TIMEOUT_S", 10.0),
        "webhook_allow_private": env.bool("WEBHOOK_ALLOW_PRIVATE", False),
        "delivery_lease_s": env.int("DELIVERY_LEASE_S", 60),
        "delivery_attempts": env.int("DELIVERY_ATTEMPTS", 12),
        "relay_poll_s": env.float("RELAY_POLL_S", 1.0),
    }


def _audit(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "audit_keys": each(env, "AUDIT_KEYS", audit_key),
        "audit_anchor_file": env.str("AUDIT_ANCHOR_FILE", ""),
        "audit_anchor_every_s": env.float("AUDIT_ANCHOR_EVERY_S", 60.0),
        "audit_retention_days": env.int(
            "AUDIT_RETENTION_DAYS", 2557, validate=validate.Range(1, 36_500)
        ),
    }


def _files(env: FileAwareEnv) -> dict[str, Any]:
    return {
        "file_store_folder": env.str("FILE_STORE_FOLDER", "/var/lib/teleconsult/files"),
        "s3_bucket": env.str("S3_BUCKET", ""),
        "s3_endpoint_url": optional_url(env, "S3_ENDPOINT_URL"),
        "s3_region": env.str("S3_REGION", "us-east-1"),
        "s3_access_key": env.str("S3_ACCESS_KEY", ""),
        "s3_secret_key": env.str("S3_SECRET_KEY", ""),
        "clamd_address": clamd_address(env),
        "recording_lease_s": env.int("RECORDING_LEASE_S", 60, validate=validate.Range(1)),
    }
