"""Who may fetch models, and who may ask them: devices with an age key, people with a password, API keys.

Their records lie in the resources bucket.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from labelstream.values import Sha256, Value, sha256_hex

MOST_GRANT_DAYS = 36_500  # beyond that lie dates that no clock can tell
MOST_PER_MINUTE = 1_000_000  # requests; more is no limit
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Ended(Value):
    """When, by whom and why somebody's access ended."""

    at_ms: int
    by: str
    why: str


def _with_reason(revoked: object) -> object:
    """Read a record of before reasons were kept: revoked or not."""
    if not isinstance(revoked, bool):
        return revoked
    return Ended(at_ms=0, by="", why="revoked before reasons were kept") if revoked else None


Revoked = Annotated[Ended | None, BeforeValidator(_with_reason)]


class Device(Value):
    """A device that may fetch grants, and open what was sealed to it."""

    name: Name
    recipient: str = Field(description="its age public key, or a plugin's; the private one never leaves the device")
    token_sha256: Sha256 = Field(description="of the token that it shows to the API")
    projects: tuple[str, ...] | None = Field(None, description="whose models it may have; null: of every project")
    grant_days: float | None = Field(
        None, gt=0, le=MOST_GRANT_DAYS, description="its grants end after so long; null: never"
    )
    added_ms: int = 0
    added_by: str = ""
    revoked: Revoked = None


class User(Value):
    """A person, or a program with a password, that logs in to the API."""

    name: Name = Field(description="what the audit log calls them")
    email_sha256: Sha256 = Field(description="of the address that they log in with, in small letters")
    password_hash: str = Field(repr=False, description="argon2id")
    may_upload: bool = False
    projects: tuple[str, ...] | None = None
    added_ms: int = 0
    added_by: str = ""
    revoked: Revoked = None


class KeyFacts(Value):
    """What a service that is asked has to know of an API key: enough to tell it, and nothing to make it from."""

    id: str = Field(pattern=r"^[0-9a-f]{16}$", description="the part of the key that may be shown, as in logs")
    secret_sha256: Sha256 = Field(repr=False, description="of the part that may not")
    projects: tuple[str, ...] | None = Field(None, description="whose models it may ask; null: of every project")
    per_minute: int | None = Field(None, ge=1, le=MOST_PER_MINUTE, description="requests; null: as many as come")
    expires_ms: int | None = Field(None, description="it counts no longer from then on; null: it does not end")
    revoked_ms: int | None = Field(None, description="when it was revoked; null: it was not")

    def has(self, secret: str) -> bool:
        """Say whether the key has this secret, in the same time whatever is wrong with it."""
        return hmac.compare_digest(self.secret_sha256, _secret_sha256(secret))

    def is_expired(self, now_ms: int) -> bool:
        """Say whether its time is over."""
        return self.expires_ms is not None and now_ms >= self.expires_ms


class KeyList(Value):
    """The API keys that a device is told of, as the exporter's API answers and a file without a network says."""

    keys: tuple[KeyFacts, ...]


class ApiKey(Value):
    """A key by which a program may ask models."""

    name: Name = Field(description="what people call it; one that was revoked or has expired gives its name free")
    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    secret_sha256: Sha256 = Field(repr=False)
    projects: tuple[str, ...] | None = None
    per_minute: int | None = Field(None, ge=1, le=MOST_PER_MINUTE)
    expires_ms: int | None = None
    added_ms: int = 0
    added_by: str = ""
    revoked: Revoked = None

    def is_live(self, now_ms: int) -> bool:
        """Say whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires_ms is None or now_ms < self.expires_ms)

    def facts(self) -> KeyFacts:
        """Return what services are told of it: neither its name nor who dealt with it."""
        told = self.model_dump(include={"id", "secret_sha256", "projects", "per_minute", "expires_ms"})
        return KeyFacts(**told, revoked_ms=None if self.revoked is None else self.revoked.at_ms)


class KeyToken(Value):
    """What a program shows: `lsk_<id>_<secret>`."""

    id: str
    secret: str = Field(repr=False)

    @classmethod
    def new(cls) -> KeyToken:
        """Make one of 256 random bits.

        Nobody can guess so many, so that a plain SHA-256 of them is as good to keep as a slow hash, which a password
        needs since people choose it, and takes a microsecond where that would take each request a tenth of a second.
        """
        return cls(id=secrets.token_hex(8), secret=secrets.token_urlsafe(32))

    @classmethod
    def read(cls, text: str) -> KeyToken | None:
        """Return the parts of what was shown; None when it has not the form of a key."""
        match = _TOKEN.fullmatch(text)
        return None if match is None else cls(id=match[1], secret=match[2])

    @property
    def text(self) -> str:
        """The whole of it, which is shown once and kept nowhere."""
        return f"lsk_{self.id}_{self.secret}"

    @property
    def secret_sha256(self) -> str:
        """What is kept of it."""
        return _secret_sha256(self.secret)


_TOKEN = re.compile(r"lsk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


def _secret_sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def address_sha256(address: str) -> str:
    """Return what a record says of an e-mail address: capitals and blanks around it do not matter."""
    return sha256_hex(address.strip().lower().encode())
