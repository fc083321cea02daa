"""The records of devices, people and API keys in the resources bucket: an object each, changed conditionally."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import ValidationError

from labelstream import keys
from labelstream.access import ApiKey, Device, User
from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.errors import Rejected, Unavailable

R = TypeVar("R", Device, User, ApiKey)


@dataclass(frozen=True)
class Kind(Generic[R]):
    """What the records of one kind are."""

    name: Literal["device", "user", "key"]
    of: type[R]
    folder: str
    key: Callable[[str], str]
    secret: Callable[[R], str]  # what tells one from the other when they come: no two may have the same
    has: str  # how that is called


DEVICES = Kind("device", Device, "devices/", keys.device, lambda device: device.token_sha256, "token")
USERS = Kind("user", User, "users/", keys.user, lambda user: user.email_sha256, "address")
KEYS = Kind("key", ApiKey, "api-keys/", keys.api_key, lambda key: key.secret_sha256, "secret")


@dataclass(frozen=True)
class Kept(Generic[R]):
    """What is stored of somebody."""

    record: R | None  # None: it can't be read
    etag: str
    problem: Rejected | None = None


@dataclass(frozen=True)
class Records(Generic[R]):
    """The records of one kind. Every method raises Unavailable when the store is away."""

    blobs: Blobs
    kind: Kind[R]

    async def look(self, name: str) -> Kept[R] | None:
        """Return what is stored of somebody; None when nothing is."""
        key = self.kind.key(name)
        try:
            blob = await self.blobs.get(key)
        except BlobNotFound:
            return None
        try:
            return Kept(read_record(self.kind, key, blob.data), blob.etag)
        except Rejected as error:
            return Kept(None, blob.etag, error)

    async def require(self, name: str) -> tuple[R, Kept[R]]:
        """Return somebody's record, and how it is stored. Raises Rejected when there is none, or it can't be read."""
        kept = await self.look(name)
        if kept is None:
            kind = self.kind.name
            raise Rejected(f"{kind}.unknown", f"there is no {kind} {name}", f"`labelstream {kind}s list` shows them.")
        if kept.problem is not None:
            raise kept.problem
        assert kept.record is not None  # noqa: S101  # one of the two is there
        return kept.record, kept

    async def write(self, record: R, instead_of: Kept[R] | None) -> None:
        """Write a record in the place of what was seen there; what else came there is Unavailable: look again."""
        key, data = self.kind.key(record.name), record.model_dump_json().encode()
        try:
            if instead_of is not None:
                await self.blobs.replace(key, data, instead_of.etag)
                return
        except BlobChanged as error:
            raise Unavailable("resources bucket", f"{key} changed meanwhile; it is read again") from error
        if await self.blobs.create(key, data) is None:
            raise Unavailable("resources bucket", f"{key} came into being meanwhile; it is read again")


def read_record(kind: Kind[R], key: str, data: bytes) -> R:
    """Return the record in an object. Raises Rejected, and never says what stands in it."""
    try:
        record = kind.of.model_validate_json(data)
    except ValidationError as error:
        places = ", ".join(sorted({".".join(map(str, each["loc"])) for each in error.errors(include_input=False)}))
        raise _unreadable(kind.name, key, f"wrong or missing: {places or 'it is no JSON'}") from None
    if kind.key(record.name) != key:
        raise _unreadable(kind.name, key, f"it is that of {record.name}")
    return record


def _unreadable(kind: str, key: str, reason: str) -> Rejected:
    hint = f"Remove or correct the object, or `labelstream {kind}s add --replace`."
    return Rejected(f"{kind}.unreadable", f"the record {key} can't be read: {reason}", hint)
