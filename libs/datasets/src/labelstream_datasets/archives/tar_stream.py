"""The files of a tar while its bytes come: no piece waits for the next, and nothing is read twice.

What comes is believed as far as it goes: whoever uses the files compares the whole's digest at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

_BLOCK = 512
_PLAIN = (b"0"[0], 0)  # types of entries that are plain files
_LARGEST_FILE = 256 << 20  # bytes; a header that says more is damaged, and would fill the memory


class TarStream:
    """Splits an archive of ours (names of up to 100 bytes, no links) into its files."""

    def __init__(self) -> None:
        self._left = b""  # what has come of a file that is not whole yet
        self._skip = 0  # padding that has still to come
        self._ended = False

    def feed(self, piece: bytes) -> Iterator[tuple[str, memoryview]]:
        """Yield the name and content of each file that this piece completes. Raises ValueError for what is no tar."""
        data = self._left + piece if self._left else piece
        view, size, start = memoryview(data), len(data), self._skip
        while not self._ended and size - start >= _BLOCK:
            if data[start] == 0:  # an empty block ends it
                self._ended = True
                break
            length = _length(data[start + 124 : start + 136])
            end = start + _BLOCK + length
            if end > size:
                break
            if data[start + 156] in _PLAIN:
                name = data[start : start + 100].partition(b"\0")[0].decode()
                yield name, view[start + _BLOCK : end]
            start = end + -length % _BLOCK
        self._skip = max(0, start - size)
        self._left = b"" if self._ended else data[start:]


def _length(text: bytes) -> int:
    length = int(text.rstrip(b"\0 ") or b"0", 8)
    if not 0 <= length <= _LARGEST_FILE:
        raise ValueError(f"a file of {length} bytes")
    return length
