"""Which kinds of files there are, what each may be, and who shares and sees them: data alone."""

from dataclasses import dataclass
from enum import StrEnum

from app.participants.permissions import Permission

MIB = 1024 * 1024
JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
PDF, DICOM = "application/pdf", "application/dicom"
ENDINGS = {JPEG: ".jpg", PNG: ".png", WEBP: ".webp", PDF: ".pdf", DICOM: ".dcm"}
IMAGES = frozenset({JPEG, PNG, WEBP})


class Kind(StrEnum):
    """What a file is to the people in the session."""

    IMAGE = "image"
    XRAY = "xray"
    DOCUMENT = "document"
    PRESCRIPTION = "prescription"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one kind. `types`: what its content may truly be, whatever its name says."""

    types: frozenset[str]
    most_bytes: int
    shared_by: Permission
    seen_by: Permission


_P = Permission

RULES: dict[Kind, Rule] = {
    Kind.IMAGE: Rule(IMAGES, 25 * MIB, _P.SHARE_FILES, _P.SEE_IMAGES),
    Kind.XRAY: Rule(frozenset({DICOM}), 1024 * MIB, _P.SHARE_FILES, _P.SEE_XRAYS),
    Kind.DOCUMENT: Rule(frozenset({PDF, JPEG, PNG}), 50 * MIB, _P.SHARE_FILES, _P.SEE_DOCUMENTS),
    Kind.PRESCRIPTION: Rule(
        frozenset({PDF}), 10 * MIB, _P.SHARE_PRESCRIPTIONS, _P.SEE_PRESCRIPTIONS
    ),
    Kind.REPORT: Rule(frozenset({PDF}), 50 * MIB, _P.SHARE_FILES, _P.SEE_REPORTS),
}
