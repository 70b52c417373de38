"""Every key of the service can be changed while it runs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.fernet import Fernet
from jwt import PyJWKSet

from app.clock import utc_now
from app.encryption import Vault
from app.errors import Unavailable
from app.factory import create_app
from app.organisations import keys
from app.organisations.keys import CACHE_FOR, PUBLISH_AHEAD, KeyRing
from app.organisations.models import SigningKey
from app.participants import exchange
from app.participants.links import code_for
from app.services import Services
from app.setting_values import LinkKey
from app.web.auth import SCOPES, issue_token
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody
from tests.api.records import code_of, links_of

TTL = timedelta(hours=1)
ALWAYS: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


@pytest.fixture
def start(services: Services) -> Iterator[datetime]:
    """A moment at which one key signs; what the test rotates is taken back after it."""
    kept = utc_now()
    with services.database.begin() as db:
        before = {row.kid: row.retired_at for row in keys.published(db, kept)}
    yield kept
    with services.database.begin() as db:
        # The runtime role deletes nothing, so later keys are put out of use instead.
        for row in db.query(SigningKey):
            row.retired_at = before.get(row.kid, row.created_at)


def rotate(services: Services, now: datetime) -> str:
    """Publish a new key and return its id."""
    with services.database.begin() as db:
        return keys.rotate(db, services.vault, token_ttl=TTL, now=now).kid


def exchanged(services: Services, person: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Exchange a person's link."""
    return exchange.exchange(services, code_of(person), address="", now=now)


def published(services: Services, now: datetime) -> list[str]:
    """Return the ids of the published keys, newest first."""
    with services.database.begin() as db:
        return [row.kid for row in keys.published(db, now)]


def signing(services: Services, now: datetime) -> str:
    """Return the id of the key that signs."""
    with services.database.begin() as db:
        return keys.signing_row(db, now).kid


class TestSigningKeys:
    """`teleconsult keys rotate`."""

    def test_a_new_key_is_published_before_it_signs(
        self, services: Services, start: datetime
    ) -> None:
        """Every Prosody has fetched it when the first token comes."""
        old = signing(services, start)
        new = rotate(services, start)
        assert published(services, start)[:2] == [new, old]
        assert signing(services, start + PUBLISH_AHEAD - timedelta(seconds=1)) == old
        assert signing(services, start + PUBLISH_AHEAD) == new

    def test_a_replaced_key_stays_published_until_its_last_token_has_expired(
        self, services: Services, start: datetime
    ) -> None:
        """The last token may be made by a process that has not looked for a minute, for a session
        that ends later: it lives twice the setting."""
        old = signing(services, start)
        rotate(services, start)
        last = start + PUBLISH_AHEAD + CACHE_FOR + 2 * TTL
        assert old in published(services, last - timedelta(seconds=1))
        assert old not in published(services, last)

    def test_rotating_twice_in_a_row_leaves_somebody_to_sign(
        self, services: Services, start: datetime
    ) -> None:
        """An operator who presses twice locks nobody out."""
        old = signing(services, start)
        rotate(services, start)
        newest = rotate(services, start + timedelta(seconds=1))
        assert signing(services, start + timedelta(seconds=2)) == old
        assert signing(services, start + PUBLISH_AHEAD + timedelta(seconds=2)) == newest

    def test_tokens_of_both_keys_verify_while_they_change(
        self, services: Services, alice: Hospital, start: datetime
    ) -> None:
        """Whoever clicked before and whoever clicks after."""
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        mine = replace(services, keys=KeyRing(services.database, services.vault))
        before = exchanged(mine, doctor, now=start)["jwt"]
        rotate(services, start)
        after = exchanged(mine, doctor, now=start + PUBLISH_AHEAD)["jwt"]
        kids = [jwt.get_unverified_header(token)["kid"] for token in (before, after)]
        assert len(set(kids)) == 2
        jwks = alice.app.test_client().get("/.well-known/jwks.json").get_json()
        for token, kid in zip((before, after), kids, strict=True):
            key = PyJWKSet.from_dict(jwks)[kid].key
            jwt.decode(token, key, algorithms=["RS256"], audience="jitsi", options=ALWAYS)

    def test_a_process_looks_for_a_newer_key_once_a_minute(
        self, services: Services, start: datetime
    ) -> None:
        """Not at every click, and not never."""
        ring = KeyRing(services.database, services.vault)
        old = ring.signer(start + PUBLISH_AHEAD - timedelta(seconds=30)).kid
        new = rotate(services, start)
        assert ring.signer(start + PUBLISH_AHEAD).kid == old
        assert ring.signer(start + PUBLISH_AHEAD + timedelta(seconds=30)).kid == new

    def test_the_private_half_is_not_readable_in_the_database(self, services: Services) -> None:
        """It is encrypted with a master key."""
        with services.database.begin() as db:
            row = keys.signing_row(db, utc_now())
        assert b"PRIVATE" not in row.private_key
        assert b"PRIVATE" in services.vault.decrypt(row.private_key)

    def test_without_any_key_the_service_says_what_to_run(self, services: Services) -> None:
        """503, and the command that helps."""
        long_ago = utc_now() - timedelta(days=1)
        with (
            services.database.begin() as db,
            pytest.raises(Unavailable, match="teleconsult keys rotate"),
        ):
            keys.signing_row(db, long_ago)


class TestMasterKeys:
    """`MASTER_KEYS`: the first encrypts, all decrypt."""

    def test_what_the_old_key_encrypted_is_read_and_moved_to_the_new_one(self) -> None:
        """Then the old key can go."""
        old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
        secret = Vault([old]).encrypt(b"secret")
        both = Vault([new, old])
        assert both.decrypt(secret) == b"secret"
        assert Vault([new]).decrypt(both.rotate(secret)) == b"secret"
        assert Vault([new]).decrypt(both.encrypt(b"later")) == b"later"

    def test_a_key_that_is_gone_reads_nothing(self) -> None:
        """An error, never something else than what was written."""
        secret = Vault([Fernet.generate_key().decode()]).encrypt(b"secret")
        with pytest.raises(Unavailable, match="MASTER_KEYS") as caught:
            Vault([Fernet.generate_key().decode()]).decrypt(secret)
        assert caught.value.code == "master_key_missing"

    def test_the_service_signs_on_after_a_change(self, services: Services, alice: Hospital) -> None:
        """The stored signing key was encrypted with what is now the second key."""
        new = Fernet.generate_key().decode()
        vault = Vault([new, *services.settings.master_keys])
        mine = replace(services, vault=vault, keys=KeyRing(services.database, vault))
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        assert exchanged(mine, doctor, now=utc_now())["state"] == "ready"


class TestLinkKeys:
    """`LINK_KEYS`: links are derived from the first, and name the one they were made with."""

    def with_keys(self, services: Services, *link_keys: LinkKey) -> Services:
        """Return the collaborators with other link keys."""
        return replace(services, settings=replace(services.settings, link_keys=link_keys))

    def test_an_old_link_works_on_and_can_be_written_again(
        self, services: Services, alice: Hospital
    ) -> None:
        """A reminder sent after the change carries the same link as the invitation."""
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        (old_key,) = services.settings.link_keys
        mine = self.with_keys(services, LinkKey("new", bytes(32)), old_key)
        (link,) = links_of(services, doctor["id"])
        assert code_for(link, mine.settings) == code_of(doctor)
        answer = create_app(mine).test_client().post(f"/j/{code_of(doctor)}/token")
        assert answer.get_json()["state"] == "ready"

    def test_new_links_are_made_with_the_first_key(
        self, services: Services, alice: Hospital
    ) -> None:
        """So the old one can go when its links have expired."""
        mine = self.with_keys(services, LinkKey("new", bytes(32)), *services.settings.link_keys)
        other = replace(alice, app=create_app(mine))
        doctor = other.invite(other.new_session()["id"], "doctor")
        (link,) = links_of(services, doctor["id"])
        assert link.key_id == "new"
        assert code_for(link, mine.settings) == code_of(doctor)

    def test_a_key_that_is_gone_is_named(self, services: Services, alice: Hospital) -> None:
        """The link itself still works, since its hash is stored; it cannot be written again."""
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        (link,) = links_of(services, doctor["id"])
        mine = self.with_keys(services, LinkKey("new", bytes(32)))
        with pytest.raises(Unavailable, match=link.key_id) as caught:
            code_for(link, mine.settings)
        assert caught.value.code == "link_key_missing"
        answer = create_app(mine).test_client().post(f"/j/{code_of(doctor)}/token")
        assert answer.get_json()["state"] == "ready"

    def test_the_database_alone_makes_no_link(self, services: Services, alice: Hospital) -> None:
        """With another key under the same id comes another code."""
        doctor = alice.invite(alice.new_session()["id"])
        (link,) = links_of(services, doctor["id"])
        thief = self.with_keys(services, LinkKey(link.key_id, bytes(32)))
        assert code_for(link, thief.settings) != code_of(doctor)


class TestApiTokenSecret:
    """`API_TOKEN_SECRET`: the first signs, all verify."""

    def statuses(self, services: Services, hospital: Hospital, token: str) -> list[int]:
        """Return what the token opens with: before, during and after the change."""
        old, new = services.settings.api_token_secret[0], bytes(range(40))
        found = []
        for secrets in ((old,), (new, old), (new,)):
            settings = replace(services.settings, api_token_secret=secrets)
            app = create_app(replace(services, settings=settings))
            found.append(replace(hospital, app=app, token=token).get("/sessions").status_code)
        return found

    def test_an_old_token_is_good_until_its_secret_is_gone(
        self, services: Services, alice: Hospital
    ) -> None:
        """Nobody has to sign in again at the moment of the change."""
        assert self.statuses(services, alice, alice.token) == [200, 200, 401]

    def test_a_new_token_is_made_with_the_first_secret(
        self, services: Services, alice: Hospital
    ) -> None:
        """And is worth nothing before the change."""
        token = issue_token(
            client_id=alice.client_id,
            organisation_id=alice.organisation_id,
            scopes=list(SCOPES),
            secret=bytes(range(40)),
            ttl_s=60,
            now=utc_now(),
        )
        assert self.statuses(services, alice, token) == [401, 200, 200]


class TestRoomEventsSecret:
    """`ROOM_EVENTS_SECRET`: each side may know the new one first."""

    def test_both_secrets_are_taken_and_the_answer_uses_the_askers(
        self, services: Services, alice: Hospital
    ) -> None:
        """Prosody verifies our answer with the secret it has."""
        old, new = services.settings.room_events_secret[0], bytes(range(40))
        settings = replace(services.settings, room_events_secret=(new, old))
        app = create_app(replace(services, settings=settings))
        question: dict[str, Any] = {
            "room": "nowhere",
            "token_room": "nowhere",
            "participant_id": str(UUID(int=1)),
            "link_id": "",
        }
        for secret in (old, new):
            answer = Prosody(app, services, secret).ask(**question)
            assert answer["code"] == "unknown-room"
        gone = Prosody(app, services, bytes(range(50)))
        assert gone.post("/internal/rooms/admission", b"{}").status_code == 401
