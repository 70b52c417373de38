"""The one place that chooses adapters. Used by web, workers, command line and tests alike."""

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import text

from app.access.issuers import Issuers
from app.adapters.directory_fhir import FhirDirectory
from app.adapters.directory_http import DirectoryHttp
from app.adapters.directory_rest import RestDirectory
from app.adapters.files_local import LocalFiles
from app.adapters.files_s3 import S3Files
from app.adapters.http_guarded import GuardedSender
from app.adapters.identity_http import PlainIdentityHttp
from app.adapters.limits_redis import RedisLimiter
from app.adapters.notification_service import HttpNotificationService
from app.adapters.rooms_redis import RedisRooms
from app.adapters.scanner_clamd import Clamd
from app.adapters.sms import HttpSmsGateway
from app.adapters.smtp import SmtpMailer
from app.adapters.turns_redis import RedisTurns
from app.audit.group_commit import GroupCommit
from app.audit.proof import use_keys
from app.bulkhead import Bulkhead
from app.db.engine import Database
from app.encryption import Vault
from app.errors import Unavailable
from app.organisations.keys import KeyRing
from app.ports import Directory, FileStore, Pings, Rooms
from app.services import Services
from app.settings import Settings
from app.storage.service import Storage


def build_services(settings: Settings, *, application: str) -> Services:
    """Build the collaborators of one process; nothing is connected yet.

    Args:
        application: how PostgreSQL shows this process (`pg_stat_activity.application_name`).
    """
    use_keys(settings.audit_keys)
    database = Database(
        settings.database_url, pool_size=settings.database_pool_size, application=application
    )
    redis = Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=1,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        health_check_interval=10,
    )
    vault = Vault(settings.master_keys)
    rooms = RedisRooms(redis)
    bulkhead = Bulkhead(settings.api_threads)
    scanner = Clamd(settings.clamd_address)
    identity = PlainIdentityHttp(bulkhead)
    return Services(
        settings=settings,
        database=database,
        redis=redis,
        entries=GroupCommit(),
        vault=vault,
        keys=KeyRing(database, vault),
        rooms=rooms,
        mailer=_mailer(settings),
        notifier=_notifier(settings),
        sms=_sms(settings),
        http=GuardedSender(
            timeout_s=settings.webhook_timeout_s, allow_private=settings.webhook_allow_private
        ),
        identity=identity,
        issuers=Issuers(identity, bulkhead),
        limiter=RedisLimiter(settings.redis_url),
        turns=RedisTurns(redis),
        storage=Storage(_file_store(settings), vault),
        scanner=scanner,
        directories=_directories(settings, bulkhead),
        health=_health(settings, database, redis, rooms, scanner),
    )


def _mailer(settings: Settings) -> SmtpMailer:
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password,
        starttls=settings.smtp_starttls,
        timeout_s=settings.notification_timeout_s,
    )


def _notifier(settings: Settings) -> HttpNotificationService:
    return HttpNotificationService(
        url=settings.notification_service_url,
        secrets=settings.notification_service_secret,
        timeout_s=settings.notification_timeout_s,
    )


def _sms(settings: Settings) -> HttpSmsGateway:
    return HttpSmsGateway(
        url=settings.sms_gateway_url,
        token=settings.sms_gateway_token,
        timeout_s=settings.notification_timeout_s,
    )


def _directories(settings: Settings, bulkhead: Bulkhead) -> dict[str, Directory]:
    # The operator names these addresses, and they are inside the hospital.
    sender = GuardedSender(timeout_s=settings.directory_timeout_s, allow_private=True)
    http = DirectoryHttp(sender, bulkhead)
    return {"rest": RestDirectory(http), "fhir": FhirDirectory(http)}


def _health(
    settings: Settings, database: Database, redis: Redis, rooms: RedisRooms, scanner: Clamd
) -> dict[str, Pings]:
    parts: dict[str, Pings] = {
        "database": DatabaseHealth(database),
        "redis": RedisHealth(redis),
        "gateway": GatewayHealth(rooms),
    }
    # Who has named none shares no files, which is no fault.
    return parts | ({"scanner": scanner} if settings.clamd_address else {})


def _file_store(settings: Settings) -> FileStore:
    if not settings.s3_bucket:
        return LocalFiles(settings.file_store_folder)
    return S3Files(
        bucket=settings.s3_bucket,
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )


class DatabaseHealth(Pings):
    """PostgreSQL answers, and its schema is there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ping(self) -> None:
        """Read the schema's revision."""
        with self._database.statements() as db:
            db.execute(text("SELECT version_num FROM teleconference.alembic_version")).one()


class RedisHealth(Pings):
    """Redis answers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def ping(self) -> None:
        """Ping it."""
        try:
            self._redis.ping()
        except RedisError as error:
            raise Unavailable("Redis does not answer.", code="redis_unavailable") from error


class GatewayHealth(Pings):
    """A gateway gave a sign of life lately, so room commands are carried out at once."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def ping(self) -> None:
        """Look for the sign of life."""
        if not self._rooms.gateway_is_alive():
            raise Unavailable("No gateway is connected to Prosody.", code="gateway_unavailable")
