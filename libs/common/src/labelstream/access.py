"""Who may fetch models: devices with an age key, people with a password. Their records lie in the resources bucket."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from labelstream.values import Sha256, Value, sha256_hex

MOST_GRANT_DAYS = 36_500  # beyond that lie dates that no clock can tell
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


def address_sha256(address: str) -> str:
    """Return what a record says of an e-mail address: capitals and blanks around it do not matter."""
    return sha256_hex(address.strip().lower().encode())
