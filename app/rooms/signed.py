"""Requests of Prosody's modules."""

from app.web.signed import Signers

signed = Signers(
    lambda settings: settings.room_events_secret,
    refused="room.signature_refused",
    code="room_signature_invalid",
)
