"""Events of `access-events`, the audit log: who was let in, who fetched what, who was turned away.

People, devices and API keys are called by the names that operators gave them; addresses, passwords and secrets never
stand here.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from labelstream.events.base import ACCESS_EVENTS, Event


class AccessEvent(Event):
    """What every entry of the audit log says."""

    stream: ClassVar[str] = ACCESS_EVENTS


class AccessGiven(AccessEvent):
    """A device or a person may fetch models, or an API key ask them, from now on or with another secret or rights."""

    type: ClassVar[str] = "access.given"

    kind: Literal["device", "user", "key"]
    name: str
    by: str
    why: str = ""
    replaced: bool = False


class AccessRevoked(AccessEvent):
    """A device, a person or an API key may no longer."""

    type: ClassVar[str] = "access.revoked"

    kind: Literal["device", "user", "key"]
    name: str
    by: str
    why: str


class GrantMade(AccessEvent):
    """A device asked for a model, and a grant was sealed to it."""

    type: ClassVar[str] = "grant.made"

    device: str
    model: str
    expires_ms: int | None = None


class ResourceFetched(AccessEvent):
    """Somebody was given something."""

    type: ClassVar[str] = "resource.fetched"

    kind: Literal["device", "user"]
    name: str
    resource: str = Field(description="grant of a model, or folder and file")
    sha256: str
    size_bytes: int
    address: str = Field("", description="a keyed hash of where the request came from")


class ResourceStored(AccessEvent):
    """Somebody uploaded a file."""

    type: ClassVar[str] = "resource.stored"

    name: str
    resource: str
    sha256: str
    size_bytes: int
    address: str = ""


class AccessRefused(AccessEvent):
    """Somebody was turned away; many in a row of one rule are counted, not listed."""

    type: ClassVar[str] = "access.refused"

    kind: Literal["device", "user", "unknown"]
    name: str = Field(description="whose name was used; empty: nobody's")
    rule: str = Field(description="such as token-unknown, password-wrong, locked-out, too-many-requests")
    resource: str = ""
    address: str = ""
    times: int = 1
