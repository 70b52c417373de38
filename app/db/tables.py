"""Imports every model, so that `Base.metadata` is whole for Alembic and the checks."""

from app.access.models import IdentityProvider, StaffSession
from app.appointments.models import Appointment, Patient, Provider, Visit
from app.attendance.models import AttendanceTotals
from app.audit.models import AuditCheckpoint, AuditEntry, AuditSeal, AuditState
from app.consents.models import Consent, ConsentText
from app.db.base import Base
from app.directory.models import DirectoryConnection
from app.emergencies.models import EmergencyEntry
from app.events.models import Event
from app.files.models import FilePart, FileView, SessionFile
from app.holds.models import LegalHold
from app.notifications.models import Notification
from app.organisations.models import ApiClient, ClientSecret, Organisation, SigningKey
from app.participants.models import Attendance, Link, Participant
from app.playback.models import PlaybackDelivery, PlaybackLink, PlaybackView
from app.recording_files.models import RecordingFile, RecordingPart
from app.recordings.models import Recording
from app.rooms.models import AvModeration, RoomCommand, RoomEvent
from app.sessions.models import CareSession
from app.storage.models import StoredFile
from app.visits.models import VisitReport
from app.web.models import IdempotencyKey
from app.webhooks.models import WebhookDelivery, WebhookSubscription

__all__ = [
    "ApiClient",
    "Appointment",
    "Attendance",
    "AttendanceTotals",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditSeal",
    "AuditState",
    "AvModeration",
    "Base",
    "CareSession",
    "ClientSecret",
    "Consent",
    "ConsentText",
    "DirectoryConnection",
    "EmergencyEntry",
    "Event",
    "FilePart",
    "FileView",
    "IdempotencyKey",
    "IdentityProvider",
    "LegalHold",
    "Link",
    "Notification",
    "Organisation",
    "Participant",
    "Patient",
    "PlaybackDelivery",
    "PlaybackLink",
    "PlaybackView",
    "Provider",
    "Recording",
    "RecordingFile",
    "RecordingPart",
    "RoomCommand",
    "RoomEvent",
    "SessionFile",
    "SigningKey",
    "StaffSession",
    "StoredFile",
    "Visit",
    "VisitReport",
    "WebhookDelivery",
    "WebhookSubscription",
]
