"""Images that are made to hurt: refused with a reason, with little memory, and with no request beside them failing."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PIL import Image

MOST_MB = 200


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@cache
def zeros(size: int) -> bytes:
    """Many zeros, compressed."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    """A PNG file of one bit a pixel."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    """A BMP file that says how large it is, and is not."""
    file = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    return file + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(10_000)


def tiff(width: int, height: int) -> bytes:
    """A TIFF file of one strip that is not there."""
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 99)]
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(200)


def webp(width: int, height: int) -> bytes:
    """A lossless WebP file that says how large it is."""
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 5 + 200) + b"\x2f" + bits + bytes(201)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def saved(kind: str, **how: object) -> bytes:
    """A small good image with something beside it."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), 114).save(file, kind, **how)
    return file.getvalue()


ROW = zlib.compress(bytes(9 * 64))
FLOOD = 300 << 20
BOMBS: dict[str, Callable[[], bytes]] = {
    "png of a thousand megapixels": lambda: png(40_000, 30_000, zeros(150 << 20)),
    "png of the largest size": lambda: png(2**31 - 1, 2**31 - 1, ROW),
    "png with more data than pixels": lambda: png(64, 64, zeros(FLOOD)),
    "png with a colour profile that unpacks": lambda: png(64, 64, ROW, chunk(b"iCCP", b"p\0\0" + zeros(FLOOD))),
    "png with a text that unpacks": lambda: png(64, 64, ROW, chunk(b"zTXt", b"t\0\0" + zeros(FLOOD))),
    "png with many texts that unpack": lambda: png(64, 64, ROW, *[chunk(b"zTXt", b"t\0\0" + zeros(30 << 20))] * 40),
    "png with an unpacking iTXt": lambda: png(64, 64, ROW, chunk(b"iTXt", b"t\0\1\0\0\0" + zeros(FLOOD))),
    "bmp of a thousand megapixels": lambda: bmp(40_000, 30_000),
    "bmp of a negative height": lambda: bmp(40_000, -30_000),
    "tiff of a thousand megapixels": lambda: tiff(40_000, 30_000),
    "webp of 268 megapixels": lambda: webp(16_384, 16_384),
    "jpeg of a thousand megapixels": lambda: _resized(saved("JPEG")),
    "jpeg with a huge profile": lambda: saved("JPEG", icc_profile=bytes(4 << 20)),
    "exif that points at itself": lambda: saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(4000)),
}


def _resized(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", 40_000, 40_000) + jpeg[at + 9 :]


def test_bombs_take_little_memory_and_disturb_nobody(tmp_path: Path) -> None:
    """In a process of their own, whose memory is theirs alone."""
    for number, (name, make) in enumerate(sorted(BOMBS.items())):
        content = make()
        assert len(content) < 20 << 20, "it is refused for another reason"
        (tmp_path / f"{number:02} {name}").write_bytes(content)
    program = Path(__file__).with_name("bombed.py")
    done = subprocess.run([sys.executable, program, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["bombs"]) == len(BOMBS)
    for name, (status, rule, grown_mb) in told["bombs"].items():
        good_beside_it = any(word in name for word in ("profile", "text", "iTXt", "more data", "exif"))
        assert (200 if good_beside_it else 400) <= status < 500, (name, status, rule)
        assert grown_mb < MOST_MB, (name, grown_mb)
    assert set(told["beside"]) == {200}
