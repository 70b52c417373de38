"""The settings of the service's own processes in the local stack (README lists them all)."""

from __future__ import annotations

from dataclasses import dataclass

from app.localstack import names
from app.localstack.credentials import Secrets

MAIL_FROM = "Teleconsult <no-reply@hospital.localhost>"


@dataclass(frozen=True)
class Addresses:
    """Where the parts are; the database URLs in libpq's form, `files` a folder."""

    api_port: int
    stream_port: int
    database_url: str
    migration_database_url: str
    redis_url: str
    websocket_url: str
    component_port: int
    smtp_port: int
    turn_port: int
    files: str
    clamd_port: int

    @property
    def public_url(self) -> str:
        """Base of the links; only a secure context, as .localhost is, may use a camera."""
        return f"http://{names.DOMAIN}:{self.api_port}"


def service_environment(addresses: Addresses, secrets: Secrets) -> dict[str, str]:
    """Return the environment of API, stream, relay, worker and gateway."""
    return {
        **_storage(addresses),
        **_service(addresses),
        **_keys(secrets),
        **_jitsi(addresses, secrets),
        **_mail(addresses),
        **_turn(addresses, secrets),
    }


def _storage(addresses: Addresses) -> dict[str, str]:
    return {
        "DATABASE_URL": _with_driver(addresses.database_url),
        "MIGRATION_DATABASE_URL": _with_driver(addresses.migration_database_url),
        "REDIS_URL": addresses.redis_url,
        "FILE_STORE_FOLDER": addresses.files,
        "CLAMD_ADDRESS": f"127.0.0.1:{addresses.clamd_port}",
    }


def _with_driver(url: str) -> str:
    """Name the driver: SQLAlchemy 2.1 takes another one than ours for a plain URL."""
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


def _service(addresses: Addresses) -> dict[str, str]:
    return {
        "HOST": "127.0.0.1",
        "PORT": str(addresses.api_port),
        "PUBLIC_URL": addresses.public_url,
        "STREAM_PORT": str(addresses.stream_port),
        "STREAM_URL": f"http://{names.DOMAIN}:{addresses.stream_port}",
        "API_WORKERS": "1",
        "LOG_LEVEL": "INFO",
        # Receivers of the demonstration and of tests listen on loopback.
        "WEBHOOK_ALLOW_PRIVATE": "true",
    }


def _keys(secrets: Secrets) -> dict[str, str]:
    return {
        "LINK_KEYS": f"local:{secrets.link_key}",
        "AUDIT_KEYS": f"local:{secrets.audit_key}",
        "MASTER_KEYS": secrets.master_key,
        "API_TOKEN_SECRET": secrets.api_token,
        "ROOM_EVENTS_SECRET": secrets.room_events,
        "RECORDER_SECRET": secrets.recording_files,
    }


def _jitsi(addresses: Addresses, secrets: Secrets) -> dict[str, str]:
    return {
        # Empty: no Jitsi web app here, the room page uses the client library itself.
        "JITSI_PUBLIC_URL": "",
        "JITSI_XMPP_DOMAIN": names.DOMAIN,
        "JITSI_MUC_DOMAIN": names.MUC,
        "JITSI_FOCUS_DOMAIN": names.FOCUS,
        "JITSI_HIDDEN_DOMAIN": names.RECORDER_DOMAIN,
        "JITSI_WEBSOCKET_URL": addresses.websocket_url,
        "JITSI_JWT_ISSUER": names.TOKEN_ISSUER,
        "JITSI_JWT_AUDIENCE": names.TOKEN_AUDIENCE,
        "XMPP_COMPONENT_HOST": "127.0.0.1",
        "XMPP_COMPONENT_PORT": str(addresses.component_port),
        "XMPP_COMPONENT_JID": names.GATEWAY,
        "XMPP_COMPONENT_SECRET": secrets.gateway,
    }


def _mail(addresses: Addresses) -> dict[str, str]:
    return {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(addresses.smtp_port),
        "SMTP_STARTTLS": "false",
        "MAIL_FROM": MAIL_FROM,
    }


def _turn(addresses: Addresses, secrets: Secrets) -> dict[str, str]:
    return {
        "STUN_SERVER": f"stun:127.0.0.1:{addresses.turn_port}",
        "TURN_SERVER": f"turn:127.0.0.1:{addresses.turn_port}",
        "TURN_SECRET": secrets.turn,
    }
