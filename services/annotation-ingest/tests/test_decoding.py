from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.imaging import Picture
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


async def test_a_decoder_that_crashes_costs_one_image(misbehaving: Any, make_picture: Any) -> None:
    pool = Decoders(1, 30, 10_000, look=misbehaving.crash_on_poison)
    try:
        with pytest.raises(Rejected) as caught:
            await pool.decode(b"poison")
        assert caught.value.rule == "image.decoder_crashed"
        assert (await pool.decode(make_picture())).format == "png"
    finally:
        pool.close()


async def test_a_decoder_that_is_killed_once_costs_no_image(
    misbehaving: Any, make_picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILLED_MARK", str(tmp_path / "killed"))  # child processes inherit it
    pool = Decoders(1, 30, 10_000, look=misbehaving.be_killed_once)
    try:
        assert (await pool.decode(make_picture())).format == "png"
    finally:
        pool.close()
    assert (tmp_path / "killed").exists()


async def test_a_decoder_that_hangs_costs_one_image(misbehaving: Any, make_picture: Any) -> None:
    pool = Decoders(1, 2, 10_000, look=misbehaving.hang_on_poison)
    try:
        with pytest.raises(Rejected) as caught:
            await pool.decode(b"poison")
        assert caught.value.rule == "image.decoder_timeout"
        assert (await pool.decode(make_picture())).format == "png"
    finally:
        pool.close()
