"""Sealing with age: whoever has the public key can seal, only the private key opens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Protocol

import pyrage

from labelstream.errors import Misconfigured, Rejected

AGE_MAGIC = b"age-encryption.org/v1\n"


class Source(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


class Sink(Protocol):
    """What can be written in pieces."""

    def write(self, data: bytes, /) -> int:
        """Take `data`."""
        ...

    def flush(self) -> None:
        """Pass on what was taken."""
        ...


class NotForUs(Rejected):
    """The header does not open with this key: it was sealed to another one, or the header is damaged."""


class Tampered(Rejected):
    """What was sealed is cut off or changed."""


def new_identity() -> tuple[str, str]:
    """Make a key pair; return the private key (identity) and the public key (recipient)."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def identity_in(text: str) -> str:
    """Return the one private key in an age identity file's text. Raises Misconfigured."""
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) != 1:
        raise Misconfigured(f"an age identity file holds one private key, but this one holds {len(keys)}")
    return keys[0]


def recipient_of(identity: str) -> str:
    """Return the public key that belongs to a private key."""
    return str(_identity(identity).to_public())


def seal(plain: bytes, recipients: Sequence[str]) -> bytes:
    """Seal `plain` so that each of `recipients` can open it."""
    return bytes(pyrage.encrypt(plain, _recipients(recipients)))


def seal_stream(plain: Source, sealed: Sink, recipients: Sequence[str]) -> None:
    """Seal a stream of any size in constant memory."""
    pyrage.encrypt_io(plain, sealed, _recipients(recipients))


def open_sealed(sealed: bytes, identity: str) -> bytes:
    """Return what was sealed to `identity`. Raises NotForUs, Tampered."""
    plain = io.BytesIO()
    open_stream(io.BytesIO(sealed), plain, identity)
    return plain.getvalue()


def open_stream(sealed: Source, plain: Sink, identity: str) -> None:
    """Open a sealed stream in constant memory. Raises NotForUs, Tampered.

    What was written to `plain` before an error is authentic but incomplete: throw it away.
    """
    key = _identity(identity)
    start = _Replayed(sealed)
    if not start.is_age():
        raise Tampered("seal.damaged", "this is not an age file", "Fetch it again")
    try:
        pyrage.decrypt_io(start, plain, [key])
    except pyrage.DecryptError as error:  # raised before the first byte of the body is read
        if start.ended:
            raise Tampered("seal.damaged", f"the age header is cut off: {error}", "Fetch it again") from error
        raise NotForUs(
            "seal.wrong_key",
            f"the header does not open with the key of {key.to_public()}: {error}",
            "Use the key that it was sealed to, or fetch the file again if its first bytes may be damaged",
        ) from error
    except OSError as error:
        if error.errno is not None:  # the disk's own error, not the decoder's
            raise
        raise Tampered("seal.damaged", f"the sealed bytes are cut off or changed: {error}", "Fetch it again") from error


class _Replayed:
    """A source whose first bytes were looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = source.read(len(AGE_MAGIC))
        self.ended = False

    def is_age(self) -> bool:
        """Say whether it begins like an age file."""
        return self._seen == AGE_MAGIC

    def read(self, size: int = -1) -> bytes:
        """Read what was looked at, then the rest."""
        if self._seen:
            data, self._seen = self._seen, b""  # shorter than any block that is asked for
        else:
            data = self._source.read(size)
        self.ended = not data
        return data


def _identity(text: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError as error:  # neither the text nor what the parser says of it may reach a log
        raise Rejected("seal.bad_identity", "this is not an age private key", "It begins AGE-SECRET-KEY-1") from error


def _recipients(texts: Sequence[str]) -> list[Any]:
    if not texts:
        raise Rejected("seal.no_recipient", "nothing can be sealed to nobody", "Name at least one public key")
    return [_recipient(text) for text in texts]


def _recipient(text: str) -> Any:
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Rejected("seal.bad_recipient", f"{text!r} is not an age public key: {error}", "It begins age1") from error
