"""The XMPP names of the local stack.

Browsers resolve *.localhost to loopback and treat it as a secure context.
"""

DOMAIN = "meet.localhost"
MUC = f"conference.{DOMAIN}"
FOCUS = f"focus.{DOMAIN}"
FOCUS_NICK = "focus"
FOCUS_USER = f"{FOCUS_NICK}@{FOCUS}"
LOBBY = f"lobby.{DOMAIN}"
GATEWAY = f"gateway.{DOMAIN}"
AV_MODERATION = f"avmoderation.{DOMAIN}"
FILE_SHARING = f"filesharing.{DOMAIN}"
RECORDER_DOMAIN = f"recorder.{DOMAIN}"

TOKEN_ISSUER = "teleconsult"
TOKEN_AUDIENCE = "jitsi"
# Whom the demo hospital's identity provider knows, by the claims of OpenID Connect.
STAFF = (
    {"sub": "ada", "name": "Dr. Ada Okafor", "roles": ["doctor"]},
    {"sub": "nils", "name": "Dr. Nils Lindqvist", "roles": ["doctor"]},
)
RECORDER_USER = f"recorder@{RECORDER_DOMAIN}"
# Where recorders show that they are there, as `jibribrewery@internal-muc.<domain>` upstream.
BREWERY_DOMAIN = f"internal.{DOMAIN}"
BREWERY = f"jibribrewery@{BREWERY_DOMAIN}"
