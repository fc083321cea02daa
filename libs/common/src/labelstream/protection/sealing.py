"""Sealing with age: whoever has the public key can seal, only the private key opens.

An identity is the text of an age identity file: one private key, or several, one a line. Any of them opens. Which
keys there are, plugins' too, says `labelstream.protection.age_keys`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol

import pyrage

from labelstream.errors import Rejected
from labelstream.protection import age_keys
from labelstream.protection.age_keys import check_recipient, identities_in, identity_in, new_identity, recipient_of

__all__ = [
    "AGE_MAGIC",
    "NotForUs",
    "Sink",
    "Source",
    "Tampered",
    "check_recipient",
    "identities_in",
    "identity_in",
    "new_identity",
    "open_sealed",
    "open_stream",
    "recipient_of",
    "seal",
    "seal_stream",
]

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


def seal(plain: bytes, recipients: Sequence[str]) -> bytes:
    """Seal `plain` so that each of `recipients` can open it. Raises Rejected."""
    sealed = io.BytesIO()
    seal_stream(io.BytesIO(plain), sealed, recipients)
    return sealed.getvalue()


def seal_stream(plain: Source, sealed: Sink, recipients: Sequence[str]) -> None:
    """Seal a stream of any size in constant memory. Raises Rejected."""
    keys = age_keys.recipients(recipients)
    try:
        pyrage.encrypt_io(plain, sealed, keys)
    except pyrage.EncryptError as error:
        raise Rejected(
            "seal.not_sealed", f"a public key can't be sealed to: {error}", "See what its plugin says of it"
        ) from error


def open_sealed(sealed: bytes, identity: str) -> bytes:
    """Return what was sealed to `identity`. Raises NotForUs, Tampered."""
    plain = io.BytesIO()
    open_stream(io.BytesIO(sealed), plain, identity)
    return plain.getvalue()


def open_stream(sealed: Source, plain: Sink, identity: str) -> None:
    """Open a sealed stream in constant memory. Raises NotForUs, Tampered.

    What was written to `plain` before an error is authentic but incomplete: throw it away.
    """
    keys = age_keys.identities(identity)
    start = _Replayed(sealed)
    if not start.is_age():
        raise Tampered("seal.damaged", "this is not an age file", "Fetch it again")
    try:
        pyrage.decrypt_io(start, plain, keys)
    except pyrage.DecryptError as error:  # raised before the first byte of the body is read
        if start.ended:
            raise Tampered("seal.damaged", f"the age header is cut off: {error}", "Fetch it again") from error
        raise NotForUs(
            "seal.wrong_key",
            f"the header does not open with the key of {age_keys.names_of(identity)}: {error}",
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
