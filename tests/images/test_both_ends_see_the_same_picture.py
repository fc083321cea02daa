"""What ingest accepts, the augmenter (and everybody else who reads with OpenCV) shows as it was meant."""

from __future__ import annotations

import random
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from annotation_ingest.images.imaging import Picture, Refusal, look
from augmenter.recipe import parse_recipe
from augmenter.render import render
from labelstream.events.annotation import ImageRef
from labelstream.values import sha256_hex

from .forms import RGB, SCENE, Form, accepted, png, png_chunk, refused, save
from .tiff_writer import write_tiff

MOST = 10_000  # pixels
ACCEPTED, REFUSED = accepted(), refused()
AS_IT_IS = parse_recipe("name: n\njpeg_quality: 100\nvariants: [{count: 1}]\n", "n")
TURNED = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: np.rot90(SCENE, -1),
    7: SCENE[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(SCENE, 1),
}
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def rendered(data: bytes, picture: Picture) -> Any:
    """Return the pixels (h, w, 3) RGB of the augmenter's first variant."""
    image = ImageRef(
        key=f"default/images/x.{picture.extension}",
        sha256=sha256_hex(data),
        size_bytes=len(data),
        format=picture.format,
        width=picture.width,
        height=picture.height,
    )
    (variant,) = render(data, image, (), AS_IT_IS, {}).variants
    return cv2.imdecode(np.frombuffer(variant.image, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


def middles(pixels: Any) -> Any:
    """Return the colours well inside the four fields, away from what JPEG does at the seams."""
    height, width = pixels.shape[:2]
    rows, columns = ((4, height - 5), (4, width - 5))
    return np.array([[pixels[y, x] for x in columns] for y in rows], int)


def accept(data: bytes) -> Picture:
    found = look(data, MOST)
    assert isinstance(found, Picture), found
    return found


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_an_accepted_form_shows_what_was_drawn(name: str) -> None:
    form: Form = ACCEPTED[name]
    picture = accept(form.data)
    assert tuple(note.rule for note in picture.notes) == form.notes
    decoded = cv2.imdecode(np.frombuffer(form.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded.shape == (picture.height, picture.width, 3)
    assert np.abs(decoded.astype(int) - form.shows).max() <= form.within
    assert np.abs(middles(rendered(form.data, picture)) - middles(form.shows)).max() <= 6


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_form_that_readers_show_differently_is_refused(name: str) -> None:
    rule, make = REFUSED[name]
    found = look(make(), MOST)
    assert isinstance(found, Refusal), found
    assert found.rule == rule
    assert found.reason
    assert found.hint.endswith(".")


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "TIFF":
        return save(RGB, kind, tiffinfo={0x0112: orientation})
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    return save(RGB, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", sorted(TURNED))
def test_the_orientation_is_applied_once(kind: str, orientation: int) -> None:
    data = oriented(kind, orientation)
    picture = accept(data)
    shows = TURNED[orientation]
    assert (picture.height, picture.width) == shows.shape[:2]
    assert np.abs(middles(rendered(data, picture)) - middles(shows)).max() <= 6


def raw_profile() -> PngImagePlugin.PngInfo:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw, info = exif.tobytes(), PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    return info


def xmp_in_png() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return info


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(save(RGB, "JPEG", xmp=XMP), id="jpeg"),
        pytest.param(save(RGB, "WEBP", xmp=XMP), id="webp"),
        pytest.param(save(RGB, "PNG", pnginfo=xmp_in_png()), id="png"),
        pytest.param(save(RGB, "PNG", pnginfo=raw_profile()), id="png-profile"),
        pytest.param(save(RGB, "TIFF", tiffinfo={700: XMP}), id="tiff"),
    ],
)
def test_an_orientation_outside_of_exif_is_applied_by_nobody(data: bytes) -> None:
    picture = accept(data)
    assert (picture.width, picture.height) == (RGB.width, RGB.height)
    assert rendered(data, picture).shape == SCENE.shape


entries = st.tuples(
    st.sampled_from([0x010F, 0x0112, 0x0112, 0x8769]),
    st.integers(1, 13),
    st.sampled_from([0, 1, 1, 2, 9]),
    st.sampled_from([0, 1, 3, 6, 6, 8, 9, 65535]),
)


@given(
    st.sampled_from([("<", b"II*\0"), (">", b"MM\0*"), ("<", b"MM\0*"), (">", b"XX\0*")]),
    st.lists(entries, max_size=4),
    st.sampled_from([8, 8, 8, 10, 0, 500]),
    st.integers(0, 30),
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
)
def test_whatever_exif_says_both_ends_agree_on_the_size_or_ingest_refuses(
    order: tuple[str, bytes], listed: list[tuple[int, int, int, int]], start: int, cut: int, kind: str
) -> None:
    end, magic = order
    block = magic + struct.pack(f"{end}IH", start, len(listed))
    block += b"".join(struct.pack(f"{end}HHIHH", *entry, 0) for entry in listed) + bytes(4)
    data = save(RGB, kind, exif=b"Exif\0\0" + block[: max(len(block) - cut, 1)])
    found = look(data, MOST)
    if isinstance(found, Picture):
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape[1::-1] == (found.width, found.height)
    else:
        assert found.rule == "image.format"


def exif_block(orientation: int) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with(*blocks: bytes) -> bytes:
    jpeg = save(RGB, "JPEG")
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block for block in blocks)
    return jpeg[:2] + segments + jpeg[2:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(exif_block(1), exif_block(6)), id="jpeg-second"),
        pytest.param(jpeg_with(exif_block(6), exif_block(1)), id="jpeg-first"),
        pytest.param(png(SCENE, 2, 8, (b"eXIf", exif_block(1)), (b"eXIf", exif_block(6))), id="png-second"),
        pytest.param(
            png(SCENE, 2, 8)[:-12] + png_chunk(b"eXIf", exif_block(6)) + png(SCENE, 2, 8)[-12:], id="png-last"
        ),
        pytest.param(write_tiff(SCENE, 2, tags={0x0112: [0]}), id="tiff-0"),
        pytest.param(write_tiff(SCENE, 2, tags={0x0112: [6, 6]}), id="tiff-twice"),
    ],
)
def test_orientations_in_unusual_places_are_read_alike_or_refused(data: bytes) -> None:
    found = look(data, MOST)
    if isinstance(found, Picture):
        assert rendered(data, found).shape[:2] == (found.height, found.width)
    else:
        assert found.rule == "image.format"


@given(st.sampled_from(sorted(ACCEPTED)), st.randoms(use_true_random=False))
def test_a_damaged_file_is_refused_or_has_the_size_that_ingest_says(name: str, chance: random.Random) -> None:
    data = bytearray(ACCEPTED[name].data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        data[int(min(chance.expovariate(1 / 80), len(data) - 1))] = chance.randrange(256)  # it may be infinite
    found = look(bytes(data), MOST)
    decoded = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR) if width_of(found) else None
    assert decoded is None or decoded.shape[1] == width_of(found)


def width_of(found: Picture | Refusal) -> int | None:
    return found.width if isinstance(found, Picture) else None
