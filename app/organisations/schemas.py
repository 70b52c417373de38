"""OAuth 2.0 client credentials as RFC 6749 section 4.4 writes them."""

from marshmallow import EXCLUDE, fields, validate

from app.web.schemas import In, Out


class TokenIn(In):
    """The form of a token request. Unknown members are ignored, as RFC 6749 section 3.2 wants."""

    class Meta:
        unknown = EXCLUDE

    grant_type = fields.String(load_default="")
    client_id = fields.String(load_default="")
    client_secret = fields.String(load_default="")
    scope = fields.String(load_default="")


class TokenOut(Out):
    """An access token (RFC 6749 section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    scope = fields.String(required=True)


class OrganisationNameOut(Out):
    """An organisation by its name."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)


class MeOut(Out):
    """The caller as we know it."""

    kind = fields.String(required=True, validate=validate.OneOf(["client", "user"]))
    subject = fields.UUID(
        required=True, metadata={"description": "Opaque; the same in the audit log."}
    )
    name = fields.String(
        required=True, metadata={"description": "As the issuer says it; empty for a program."}
    )
    scopes = fields.List(fields.String(), required=True)
    organisation = fields.Nested(OrganisationNameOut, required=True)


class KeyOut(Out):
    """One public key (RFC 7517)."""

    kty = fields.String(required=True)
    n = fields.String(required=True)
    e = fields.String(required=True)
    kid = fields.String(required=True)
    use = fields.String(required=True)
    alg = fields.String(required=True)
    key_ops = fields.List(fields.String())


class KeySetOut(Out):
    """The public keys of Jitsi tokens."""

    keys = fields.List(fields.Nested(KeyOut), required=True)
