r"""Splitting a sealed file: the small part travels in grants, the big part may lie in public.

    header … "--- <mac>\n" | nonce (16) | chunk 1 (64 KiB + tag) || chunk 2 … chunk n
    └────────────────────── small part ─────────────────────────┘└──── big part ────┘

Without header and nonce nobody, whatever keys they hold, has the key of the body. A file that is no
longer than its small part leaves an empty big part: all of it travels in the grants.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from labelstream.protection.measuring import BLOCK
from labelstream.protection.sealing import AGE_MAGIC, NONCE, Tampered

FIRST_CHUNK = (64 << 10) + 16  # 64 KiB and its tag
MAX_HEADER = 1 << 20  # some 7,000 recipients


class Parts(NamedTuple):
    """A sealed file in two."""

    small: bytes
    big: bytes


def small_bytes(sealed: bytes) -> int:
    """Return how long the small part of a sealed file is, from its beginning. Raises Tampered."""
    footer = sealed.find(b"\n--- ")
    end = sealed.find(b"\n", footer + 1) + 1
    if not sealed.startswith(AGE_MAGIC) or footer < 0 or end == 0:
        raise Tampered("seal.damaged", "this has no complete age header", "Fetch the file again")
    return end + NONCE + FIRST_CHUNK


def split(sealed: bytes) -> Parts:
    """Split a sealed file in memory. Raises Tampered."""
    cut = small_bytes(sealed[:MAX_HEADER])
    return Parts(sealed[:cut], sealed[cut:])


def join(small: bytes, big: bytes) -> bytes:
    """Return the sealed file that the two parts came from."""
    return small + big


def small_part(sealed: Path) -> bytes:
    """Read the small part of a sealed file. Raises Tampered."""
    with sealed.open("rb") as file:
        start = file.read(MAX_HEADER + NONCE + FIRST_CHUNK)
    return start[: small_bytes(start[:MAX_HEADER])]


def write_big_part(sealed: Path, big: Path) -> None:
    """Write the big part of a sealed file to `big`, in constant memory. Raises Tampered."""
    small = small_part(sealed)
    with sealed.open("rb") as source, big.open("wb") as target:
        source.seek(len(small))
        shutil.copyfileobj(source, target, BLOCK)


def join_file(small: bytes, big: Path, sealed: Path) -> None:
    """Write the sealed file that the two parts came from, in constant memory."""
    with big.open("rb") as source, sealed.open("wb") as target:
        target.write(small)
        shutil.copyfileobj(source, target, BLOCK)
