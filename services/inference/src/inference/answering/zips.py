"""Zip archives of strangers: judged by their directory before anything is unpacked, and unpacked one entry at a time.

Names are only names: nothing is ever written to where they point.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from inference.answering.spool import Spool, SpoolFile
from labelstream.errors import Rejected

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # of a file's entry, and of an empty archive's end
DENSE_FROM = 1 << 20  # bytes; smaller entries may be as dense as they like
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LONGEST_TAIL = 22 + 0xFFFF  # the end's record, and a comment
_LOCATOR_64_BYTES, _END_64_BYTES = 20, 56
_DIRECTORY_EACH = 2 << 10  # bytes of the directory for each entry, its name included
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LEFT_OUT = ("__MACOSX/", ".DS_Store")  # what macOS adds to an archive


@dataclass(frozen=True)
class ZipLimits:
    """How much an archive may hold."""

    max_files: int
    max_bytes: int
    max_ratio: float


def is_zip(spool: Spool, offset: int = 0) -> bool:
    """Say whether something that begins at `offset` is an archive by its first bytes."""
    return spool.read(offset, 4) in SIGNATURES


class Archive:
    """An archive that has been judged. Several threads may read its entries."""

    def __init__(self, spool: Spool, limits: ZipLimits) -> None:
        """Judge it by its directory. Raises Rejected."""
        _judge_end(spool, limits)
        try:
            self._zip = zipfile.ZipFile(io.BufferedReader(SpoolFile(spool), 64 << 10))
        except (zipfile.BadZipFile, UnicodeDecodeError, ValueError, NotImplementedError, struct.error) as error:
            raise _damaged(str(error)) from error
        entries = self._zip.infolist()
        if len(entries) > _most_entries(limits):
            raise _too_many(len(entries), limits)
        self.entries = [entry for entry in entries if not _left_out(entry)]
        if len(self.entries) > limits.max_files:
            raise _too_many(len(self.entries), limits)
        for entry in self.entries:
            _judge_entry(entry, limits)
        _judge_places(entries, self._zip.start_dir)
        _judge_sizes(self.entries, limits)

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """Return the content of an entry, never more than it says that it is. Raises Rejected."""
        try:
            with self._zip.open(entry) as file:
                return file.read(entry.file_size)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, struct.error) as error:
            raise Rejected(
                "zip.entry_damaged", f"the entry can't be unpacked: {error}", "Make the archive again, and send that."
            ) from error


def _judge_end(spool: Spool, limits: ZipLimits) -> None:
    """Judge the length of the directory before it is read."""
    tail_start = max(spool.size_bytes - _LONGEST_TAIL, 0)
    tail = spool.read(tail_start, _LONGEST_TAIL)
    found = tail.rfind(_END)
    if found < 0 or len(tail) - found < 22:
        raise _damaged("its directory is missing; it may have been cut off")
    count, length = struct.unpack_from("<HI", tail, found + 10)
    count, length = _end_64(spool, tail_start + found) or (count, length)
    if count > _most_entries(limits):
        raise _too_many(count, limits)
    if length > _DIRECTORY_EACH * (_most_entries(limits) + 1):
        raise _damaged(f"its directory says that it has {length} bytes for {count} entries")


def _end_64(spool: Spool, end: int) -> tuple[int, int] | None:
    """Return how many entries, and how many bytes of directory, the large form of the end tells; None: there is none.

    zipfile reads the record that lies right before the locator, wherever the locator says that it is: they must agree.
    """
    locator = spool.read(max(end - _LOCATOR_64_BYTES, 0), _LOCATOR_64_BYTES)
    if not locator.startswith(_LOCATOR_64):
        return None
    at = end - _LOCATOR_64_BYTES - _END_64_BYTES
    record = spool.read(max(at, 0), _END_64_BYTES)
    (told,) = struct.unpack_from("<Q", locator, 8)
    if told != at or not record.startswith(_END_64):
        raise _damaged("the large form of its end is not where it says")
    count, length = struct.unpack_from("<QQ", record, 32)
    return count, length


def _judge_entry(entry: zipfile.ZipInfo, limits: ZipLimits) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise Rejected(
            "zip.encrypted", f"the entry {_short(entry)} is encrypted", "Make the archive without a password."
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Rejected(
            "zip.unknown_compression",
            f"the entry {_short(entry)} is compressed by method {entry.compress_type}",
            "Only stored and deflated entries are read: images gain nothing by more.",
        )
    if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
        raise _damaged(f"the stored entry {_short(entry)} tells two lengths")
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > DENSE_FROM and ratio > limits.max_ratio:
        raise Rejected(
            "zip.too_dense",
            f"the entry {_short(entry)} would be {ratio:.0f} times its length in the archive; "
            f"{limits.max_ratio:g} times are the most",
            "Send the images themselves, in a compressed format.",
        )


def _judge_places(entries: list[zipfile.ZipInfo], directory_start: int) -> None:
    """Refuse entries that share bytes: that is how a small archive unpacks to a huge one."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end:
            raise Rejected(
                "zip.overlapping",
                f"the entry {_short(entry)} lies over another one",
                "Make the archive with an ordinary tool, and send that.",
            )
        end = entry.header_offset + _LOCAL_HEADER + entry.compress_size
    if end > directory_start:
        raise _damaged("an entry reaches into the directory, or beyond the archive's end")


def _judge_sizes(entries: list[zipfile.ZipInfo], limits: ZipLimits) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_bytes:
        raise Rejected(
            "batch.too_large",
            f"unpacked, the archive has {unpacked} bytes; {limits.max_bytes} are the most",
            "Send fewer files at once.",
        )


def _left_out(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or entry.filename.startswith(_LEFT_OUT[0]) or entry.filename.endswith(_LEFT_OUT[1])


def _most_entries(limits: ZipLimits) -> int:
    return 3 * limits.max_files + 16  # folders, and what macOS adds, are not counted as files


def _too_many(count: int, limits: ZipLimits) -> Rejected:
    return Rejected(
        "batch.too_many_files",
        f"the archive has {count} entries; {limits.max_files} files are the most",
        "Send fewer files at once.",
    )


def _damaged(reason: str) -> Rejected:
    return Rejected("zip.damaged", f"the archive can't be read: {reason}", "Make it again, and send that.")


def _short(entry: zipfile.ZipInfo) -> str:
    return repr(entry.filename[:100])
