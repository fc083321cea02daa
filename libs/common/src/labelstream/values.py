"""What values that travel in events have in common."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Project = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Task = Literal["detect"]
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Value(BaseModel):
    """An immutable value; unknown fields are ignored, because fields are only ever added."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=())


class Position(Value):
    """A message's place in a stream."""

    stream: str
    offset: int


class FileRef(Value):
    """A stored object, by key and by what is in it."""

    key: str
    sha256: Sha256
    size_bytes: int

    @classmethod
    def of(cls, key: str, data: bytes) -> Self:
        """Describe `data` as stored under `key`."""
        return cls(key=key, sha256=sha256_hex(data), size_bytes=len(data))

    @classmethod
    def of_file(cls, key: str, path: Path) -> Self:
        """Describe the file at `path` as stored under `key`; reads it whole, in pieces."""
        return cls(key=key, sha256=sha256_file(path), size_bytes=path.stat().st_size)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON whose bytes depend on its content alone (sorted keys, no spaces)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: object) -> str:
    """Return the SHA-256 of a JSON-like value's canonical form: equal content, equal digest."""
    return sha256_hex(canonical_json(value))


def short_id(*parts: str) -> str:
    """Return an id of 32 hexadecimal digits (128 bits) derived from `parts`."""
    return digest_of(list(parts))[:32]
