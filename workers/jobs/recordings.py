"""Works on one file of a recording: store it whole, look at it, make what a browser plays."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from uuid import UUID

import structlog

from app.clock import utc_now
from app.errors import Gone, Invalid, NotFound, Unavailable
from app.observability import place_of
from app.recording_files import parts, processing
from app.recording_files.media.playable import playable
from app.recording_files.media.probing import HEAD_BYTES, Probed, poster, probe
from app.recording_files.media.serving import Read, Served, served
from app.recording_files.models import RecordingFile
from app.recording_files.processing import Made
from app.recordings.models import Recording
from app.recordings.states import OVER
from app.services import Services
from app.storage import service as storage
from app.storage.models import StoredFile
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import PROCESS

log = structlog.get_logger()

# How often a claim is made longer, as a part of it.
PROLONGED_AFTER = 1 / 4


@job
def process_recording(context: JobContext, file_id: UUID) -> None:
    """Work on a file, unless somebody else does."""
    if context.wakeups.begin(PROCESS, file_id):
        process(context.services, file_id)


def process(services: Services, file_id: UUID) -> None:
    """Work on a file from where the work on it stands."""
    lease_s = services.settings.recording_lease_s
    with services.database.begin() as db:
        claimed = processing.claim(db, file_id, lease_s=lease_s, now=utc_now())
    if claimed is not None:
        Work(services, claimed).carry_on()


class Work:
    """One worker's work on one file."""

    def __init__(self, services: Services, claimed: RecordingFile) -> None:
        self._services = services
        self._claimed = claimed
        self._progress = claimed.progress

    def carry_on(self) -> None:
        """Go on with what is not done yet, and record how it ends."""
        claimed = self._claimed
        if processing.is_hopeless(claimed):
            with self._services.database.begin() as db:
                processing.give_up(db, claimed, now=utc_now())
            return
        try:
            with self._held():
                if claimed.kept_at is not None or self._keep():
                    self._look()
        except (Unavailable, NotFound) as error:
            self._postpone(error.code)
        except Gone as error:
            log.info("recording_left_to_another", file=str(claimed.id), reason=error.code)
        except Invalid as error:
            self._fail(error.code)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is not tried for ever
            kind, place = type(error).__name__, place_of(error)
            log.warning("recording_not_processed", file=str(claimed.id), kind=kind, place=place)
            self._postpone("internal_error")

    def _keep(self) -> bool:
        """Store the file as one; True when it is what the recorder has. If not, or if our store has
        lost some of what came, the recorder sends it anew."""
        with self._services.database.begin() as db:
            stretches = parts.of_file(db, self._claimed.id)
        whole = self._services.storage.read_all(stretches)
        try:
            content = self._store(self._counted(whole), owner=self._claimed.organisation_id)
        except (NotFound, Unavailable) as error:
            if error.code not in processing.LOST:
                raise
            self._begin_anew(error.code)
            return False
        with self._services.database.begin() as db:
            is_kept = processing.keep(db, self._claimed, content, now=utc_now())
        log.info("recording_stored", file=str(self._claimed.id), is_kept=is_kept)
        return is_kept

    def _look(self) -> None:
        """Find out what the file is, and make what belongs to it."""
        with self._services.database.begin() as db:
            file = db.get_one(RecordingFile, self._claimed.id, populate_existing=True)
            content = db.get_one(StoredFile, file.content_id)
            owner = processing.owner_of(db, file) if file.recording_id is None else None
        if file.recording_id is None:
            if self._comes_to(owner, content):
                self._look()
            return
        with self._services.database.begin() as db:
            processing.require_over(db, file.recording_id)
        if file.size_bytes == 0:
            raise Invalid("There is nothing in this file.", code="file_empty")
        with served(self._range_of(content), file.size_bytes) as server:
            try:
                self._make(server)
            except Invalid:
                server.check()
                raise

    def _comes_to(self, owner: Recording | None, content: StoredFile) -> bool:
        """Give an orphan to its recording; False: it is not known, or was deleted."""
        database = self._services.database
        if owner is None or owner.state in OVER:
            with database.begin() as db:
                if owner is None:
                    processing.set_aside(db, self._claimed, now=utc_now())
                else:
                    processing.forget(db, self._claimed, owner, now=utc_now())
            return False
        whole = self._services.storage.read_all([content])
        made = self._store(self._counted(whole), owner=owner.organisation_id)
        with database.begin() as db:
            self._claimed = processing.take_over(db, self._claimed, owner.id, made, now=utc_now())
        log.info("recording_recognised", file=str(self._claimed.id), recording=str(owner.id))
        return True

    def _make(self, server: Served) -> None:
        with closing(server.read(0, HEAD_BYTES)) as head:
            probed = probe(server.url, b"".join(head))
        picture = self._picture(server, probed)
        version = playable(server.read, server.size, server.url, probed, progress=self._half)
        made = (
            self._store(version, owner=self._claimed.organisation_id)
            if version is not None
            else None
        )
        with self._services.database.begin() as db:
            processing.finish(
                db, self._claimed, probed.facts, playable=made, poster=picture, now=utc_now()
            )
        log.info("recording_processed", file=str(self._claimed.id), is_made=made is not None)

    def _picture(self, server: Served, probed: Probed) -> Made | None:
        """Store a picture of it; a file of which there is none is one all the same."""
        try:
            picture = poster(server.url, probed)
        except Invalid:
            server.check()
            return None
        return self._store([picture], owner=self._claimed.organisation_id)

    def _range_of(self, content: StoredFile) -> Read:
        return lambda start, length: self._services.storage.read(
            content, start=start, length=length
        )

    def _store(self, content: Iterable[bytes], *, owner: UUID | None) -> Made:
        """Write a stream without recording its key: until a file refers to it nobody can read it,
        and what becomes of nothing is erased after a day."""
        with self._services.database.begin() as db:
            stored = storage.announce(db, organisation_id=owner, now=utc_now())
        return Made(stored.id, self._services.storage.write(stored, content))

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        done = 0
        for piece in pieces:
            done += len(piece)
            self._progress = 50 * done // max(1, self._claimed.size_bytes)
            yield piece

    def _half(self, percent: float) -> None:
        self._progress = min(99, 50 + int(percent / 2))

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Make the claim longer while the work goes on, whatever it waits for."""
        done = Event()
        holder = Thread(target=self._hold, args=(done,), name="claim", daemon=True)
        holder.start()
        try:
            yield
        finally:
            done.set()
            holder.join()

    def _hold(self, done: Event) -> None:
        lease_s = self._services.settings.recording_lease_s
        while not done.wait(lease_s * PROLONGED_AFTER):
            try:
                with self._services.database.begin() as db:
                    processing.prolong(
                        db,
                        self._claimed,
                        lease_s=lease_s,
                        progress=self._progress,
                        now=utc_now(),
                    )
            except Gone:
                return  # the work notices as it is recorded
            except Exception as error:  # noqa: BLE001 - a database that is away comes back
                log.warning("claim_not_prolonged", kind=type(error).__name__)

    def _postpone(self, code: str) -> None:
        with suppress(Gone), self._services.database.begin() as db:
            processing.postpone(db, self._claimed, reason=code, now=utc_now())
        log.info("recording_postponed", file=str(self._claimed.id), reason=code)

    def _begin_anew(self, code: str) -> None:
        with self._services.database.begin() as db:
            processing.begin_anew(db, self._claimed, reason=code, now=utc_now())
        log.warning("recording_stretch_lost", file=str(self._claimed.id), reason=code)

    def _fail(self, code: str) -> None:
        with self._services.database.begin() as db:
            processing.fail(db, self._claimed, code=code, now=utc_now())
        log.info("recording_failed", file=str(self._claimed.id), reason=code)
