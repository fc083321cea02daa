"""What stands at the offsets of a restored stream that hold no message: no reader of ours ever returns it.

A stream that is written anew begins at offset 0, and the broker numbers its messages without a gap. The one that it
is a copy of may have begun later, behind what retention removed, and have holes where the broker kept records of its
own. Padding fills these, so that every message stands where it stood. It is a valid AMQP 1.0 message, for whoever
reads the stream without our code, and says where the next real message stands.
"""

from __future__ import annotations

import re

_DIGITS = 20  # as many as the largest offset has
_WORD = b"labelstream.padding."
# A data section of one binary with one byte of size.
_START = b"\x00\x53\x75\xa0" + bytes([len(_WORD) + _DIGITS]) + _WORD
_FORM = re.compile(re.escape(_START) + rb"(\d{20})")


def padding(until: int) -> bytes:
    """Return what fills an offset of a gap; the message behind the gap stands at `until`."""
    return _START + b"%020d" % until


def is_padding(raw: bytes) -> bool:
    """Say whether these bytes fill an offset, and are no message."""
    return raw.startswith(_START) and _FORM.fullmatch(raw) is not None


def padded_until(raw: bytes) -> int | None:
    """Return where the message behind the gap stands; None for what is no padding."""
    found = _FORM.fullmatch(raw) if raw.startswith(_START) else None
    return None if found is None else int(found[1])
