"""Sealing with age: whoever has the public key can seal, only the private key opens.

An identity is the text of an age identity file: one private key, or several, one a line. Any of them opens. Which
keys there are, plugins' too, says `labelstream.protection.age_keys`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyrage

from labelstream.errors import Rejected
from labelstream.protection import age_keys
from labelstream.protection.age_keys import check_recipient, identities_in, identity_in, new_identity, recipient_of
from labelstream.protection.blocks import Blocks, Sink, Source, reading, writing

__all__ = [
    "AGE_MAGIC",
    "NONCE",
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
NONCE = 16  # bytes behind the header


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
        with writing(sealed) as sink:
            pyrage.encrypt_io(reading(Blocks(plain)), sink, keys)
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
    blocks = Blocks(sealed)
    source = reading(blocks)
    if source.peek(len(AGE_MAGIC))[: len(AGE_MAGIC)] != AGE_MAGIC:
        raise Tampered("seal.damaged", "this is not an age file", "Fetch it again")
    try:
        with writing(plain) as sink:
            pyrage.decrypt_io(source, sink, keys)
    except pyrage.DecryptError as error:  # raised before the first byte of the body is read
        if blocks.ended and not _has_whole_header(blocks.first):
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


def _has_whole_header(start: bytes) -> bool:
    """Say whether the beginning of a file holds its header, and the nonce behind it."""
    footer = start.find(b"\n--- ")
    end = start.find(b"\n", footer + 1) + 1
    return footer >= 0 and end > 0 and len(start) >= end + NONCE
