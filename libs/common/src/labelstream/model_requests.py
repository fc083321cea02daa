"""What a person may ask the exporter for, by the queue `requests.exporter`, and what it answers, in the data bucket.

A device's wish for a grant comes by a queue of its own, with an exchange of its own: the broker can allow the public
API to put there, and only there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from labelstream.access import ApiKey, Device, Name, User
from labelstream.answers import AnswerId
from labelstream.values import Value

QUEUE = "requests.exporter"
GRANTS_QUEUE = "requests.grants"


class Promote(Value):
    """Let a model serve, whatever the policy says."""

    ask: Literal["promote"] = "promote"
    model: str


class Rollback(Value):
    """Let a model serve again that served once: a new promotion.

    Who asks names it (see `champions.served_before`), so that a request that comes twice goes back once.
    """

    ask: Literal["rollback"] = "rollback"
    to: str


class Withdraw(Value):
    """Never promote a model again, and grant it to nobody."""

    ask: Literal["withdraw"] = "withdraw"
    model: str


class AddDevice(Value):
    """Enrol a device, or give one that is there another key, token or rights."""

    ask: Literal["add-device"] = "add-device"
    device: Device
    replace: bool = Field(False, description="else a name that is there is refused")


class RevokeDevice(Value):
    """End a device's access: no new grant, and the API no longer knows its token."""

    ask: Literal["revoke-device"] = "revoke-device"
    name: Name


class AddUser(Value):
    """Add a person."""

    ask: Literal["add-user"] = "add-user"
    user: User
    replace: bool = False


class RevokeUser(Value):
    """End a person's access."""

    ask: Literal["revoke-user"] = "revoke-user"
    name: Name


class AddKey(Value):
    """Let a program ask models with an API key, or give the key of this name another secret or rights."""

    ask: Literal["add-key"] = "add-key"
    key: ApiKey
    replace: bool = Field(False, description="else the name of a live key is refused")


class RevokeKey(Value):
    """End an API key."""

    ask: Literal["revoke-key"] = "revoke-key"
    name: Name


class WriteTwin(Value):
    """Write an artifact of a model in the legacy form, for readers that know nothing else."""

    ask: Literal["write-twin"] = "write-twin"
    model: str
    artifact: str = "onnx-fp32"
    folder: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


Ask = Promote | Rollback | Withdraw | AddDevice | RevokeDevice | AddUser | RevokeUser | AddKey | RevokeKey | WriteTwin


class ModelRequest(Value):
    """The payload of a request."""

    what: Annotated[Ask, Field(discriminator="ask")]
    by: str = Field(min_length=1, description="who asks, as the events will say")
    why: str = ""
    answer: AnswerId | None = Field(None, description="where the answer is awaited: an id of this very asking")


class GrantRequest(Value):
    """The payload of a device's wish for a grant."""

    model: str
    device: Name


class Answer(Value):
    """What became of a request."""

    outcome: Literal["done", "known", "refused"] = Field(description="known: it was so already")
    model: str | None = None
    number: int | None = Field(None, description="of the promotion")
    rule: str = ""
    reason: str = ""
    hint: str = ""
