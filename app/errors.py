"""Everything that can be refused, in the service's own words.

DomainError
├── NotFound      there is no such thing, or not for this organisation
├── Invalid       the request is well-formed but cannot be meant
├── Conflict      it contradicts the present state, or a repeat with another body
├── Stale         the caller's copy is out of date (lost update)
├── Unauthorized  we do not know who is asking
├── Forbidden     we know, and this caller may not
├── Gone          it existed and never comes back
├── Locked        somebody else is at it just now
├── TooMany       the caller asks too often
├── TooSlow       the caller takes too long to say it
└── Unavailable   a part we need does not answer

`app.web.errors` maps them to HTTP once. `code` is stable and documented; `detail` is for people.
"""


class DomainError(Exception):
    """A refusal. `retryable` is all a caller has to know to decide whether to try again."""

    retryable = False

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        field: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.field = field
        self.retry_after_s = retry_after_s


class NotFound(DomainError):
    """There is no such thing, or it belongs to somebody else: the caller cannot tell which."""


class Hidden(NotFound):
    """It is there, and the caller may not know that: told as any other, and noted as a refusal."""


class Invalid(DomainError):
    """The request is well-formed, but a value in it cannot be accepted."""


class Conflict(DomainError):
    """The request contradicts the present state."""


class Stale(DomainError):
    """The caller changed an old copy (HTTP 412)."""


class Unauthorized(DomainError):
    """The caller did not prove who it is."""


class Forbidden(DomainError):
    """The caller is known and may not do this."""


class Gone(DomainError):
    """It existed, and it never comes back."""


class Locked(DomainError):
    """Somebody else does just this; waiting a little helps."""

    retryable = True


class TooMany(DomainError):
    """The caller asks too often; waiting helps."""

    retryable = True


class TooSlow(DomainError):
    """The caller was not waited for any longer; what came is kept where that is possible."""

    retryable = True


class Unavailable(DomainError):
    """A part this needs does not answer; trying again helps."""

    retryable = True
