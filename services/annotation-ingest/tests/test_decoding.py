from __future__ import annotations

import asyncio
import io
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.images.imaging import Picture, Refusal, look
from labelstream.errors import Rejected


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parent / "misbehaving")  # child processes inherit the path
    yield import_module("bad_decoders")
    del sys.modules["bad_decoders"]


@pytest.mark.parametrize(
    ("kind", "name", "extension"),
    [
        ("JPEG", "jpeg", "jpg"),
        ("PNG", "png", "png"),
        ("WEBP", "webp", "webp"),
        ("TIFF", "tiff", "tiff"),
        ("BMP", "bmp", "bmp"),
    ],
)
async def test_the_five_formats_are_accepted(
    decoders: Decoders, make_picture: Any, kind: str, name: str, extension: str
) -> None:
    found = await decoders.decode(make_picture(kind=kind))
    assert found == Picture(name, 8, 6)
    assert found.extension == extension


async def test_sizes_are_those_after_the_exif_orientation(decoders: Decoders, make_picture: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert await decoders.decode(make_picture(kind="JPEG", exif=exif)) == Picture("jpeg", 6, 8)


@asynccontextmanager
async def started(processes: int, timeout_s: float, look: Any) -> AsyncIterator[Decoders]:
    pool = Decoders(processes, timeout_s, 10_000, look=look)
    try:
        yield pool
    finally:
        pool.close()


async def refusal(pool: Decoders, data: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await pool.decode(data)
    return caught.value


async def test_a_decoder_that_crashes_costs_one_image(misbehaving: Any, make_picture: Any) -> None:
    async with started(1, 30, misbehaving.crash_on_poison) as pool:
        assert (await refusal(pool, b"poison")).rule == "image.decoder_crashed"
        assert (await pool.decode(make_picture())).format == "png"


async def test_a_decoder_that_is_killed_once_costs_no_image(
    misbehaving: Any, make_picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILLED_MARK", str(tmp_path / "killed"))  # child processes inherit it
    async with started(1, 30, misbehaving.be_killed_once) as pool:
        assert (await pool.decode(make_picture())).format == "png"
    assert (tmp_path / "killed").exists()


async def test_a_decoder_that_hangs_costs_one_image(misbehaving: Any, make_picture: Any) -> None:
    async with started(1, 2, misbehaving.hang_on_poison) as pool:
        assert (await refusal(pool, b"poison")).rule == "image.decoder_timeout"
        assert (await pool.decode(make_picture())).format == "png"


async def test_while_one_image_hangs_the_other_decoder_goes_on(
    misbehaving: Any, make_picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    monkeypatch.setenv("ALLOWED_MARK", str(allowed))
    async with started(2, 60, misbehaving.hang_until_allowed) as pool:
        hanging = asyncio.create_task(pool.decode(b"poison"))
        found = await asyncio.gather(*(pool.decode(make_picture(seed)) for seed in range(20)))
        assert [picture.format for picture in found] == ["png"] * 20
        assert not hanging.done()
        allowed.touch()
        with pytest.raises(Rejected, match=r"image\.undecodable"):
            await hanging


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may allocate")
async def test_an_image_that_takes_too_much_memory_costs_one_image(misbehaving: Any, make_picture: Any) -> None:
    async with started(1, 30, misbehaving.swell_on_poison) as pool:
        refused = await refusal(pool, b"poison")
        assert refused.rule == "image.undecodable"
        assert "memory" in refused.reason
        assert (await pool.decode(make_picture())).format == "png"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may allocate")
async def test_the_memory_that_the_limit_leaves_is_enough_for_the_largest_images(make_picture: Any) -> None:
    pool = Decoders(1, 120, 12_000_000)
    try:
        for kind, options in (("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {"compression": "tiff_lzw"})):
            assert (await pool.decode(make_picture(kind=kind, size=(4000, 3000), **options))).width == 4000
    finally:
        pool.close()


def png_with(*chunks: tuple[bytes, bytes], width: int = 8) -> bytes:
    body = zlib.compress(b"".join(b"\0" + bytes(24) for _ in range(6)))
    header = struct.pack(">IIBBBBB", width, 6, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    packed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff_with(tag: int, value: int) -> bytes:
    """Return a TIFF file with another number in its directory."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at) == (tag,):
            struct.pack_into("<HII", data, at + 2, 4, 1, value)
    return bytes(data)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a PNG header of too many pixels": ("image.pixels", lambda: png_with(width=2_000_000_000)),
    "a text that unpacks to 100 MB": (
        "image.undecodable",
        lambda: png_with((b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000), 9))),
    ),
    "a hundred texts": (
        "image.undecodable",
        lambda: png_with(*[(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000), 9))] * 100),
    ),
    "a TIFF header of too many pixels": ("image.pixels", lambda: tiff_with(256, 4_000_000_000)),
    "a TIFF header of too many rows": ("image.pixels", lambda: tiff_with(257, 4_000_000_000)),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
async def test_a_bomb_is_refused_before_it_unpacks(decoders: Decoders, name: str) -> None:
    rule, make = BOMBS[name]
    assert (await refusal(decoders, make())).rule == rule


async def test_a_side_longer_than_opencv_reads_is_refused(make_picture: Any) -> None:
    found = look(make_picture(size=((1 << 20) + 1, 1)), 10_000_000)
    assert isinstance(found, Refusal)
    assert found.rule == "image.pixels"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
async def test_half_a_file_is_refused(decoders: Decoders, make_picture: Any, kind: str) -> None:
    whole = make_picture(kind=kind, size=(60, 60))
    assert (await refusal(decoders, whole[: len(whole) * 3 // 5])).rule == "image.undecodable"


async def test_notes_travel_out_of_the_child_process(decoders: Decoders) -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 6)).save(buffer, "JPEG")
    assert [note.rule for note in (await decoders.decode(buffer.getvalue())).notes] == ["image.cmyk"]
