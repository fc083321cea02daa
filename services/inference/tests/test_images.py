"""Images from strangers: every damage is a refusal, never a fault and never a flood of memory."""

from __future__ import annotations

import io
import random
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from inference.answering.images import decode
from inference.engine.geometry import ImageLimits
from labelstream.errors import Rejected

LIMITS = ImageLimits(max_bytes=200_000, max_pixels=100_000)


def encoded(extension: str) -> bytes:
    """A small picture of noise."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    return cv2.imencode(extension, noise)[1].tobytes()


def damaged(content: bytes, random: random.Random) -> bytes:
    """The same with some bytes exchanged, and often cut short."""
    changed = bytearray(content[: random.randrange(1, len(content))] if random.random() < 0.3 else content)
    reach = len(changed) if random.random() < 0.5 else min(len(changed), 200)
    for _ in range(random.choice([1, 2, 5, 20])):
        changed[random.randrange(reach)] = random.randrange(256)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Pillow says of damaged tags
@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_damaged_images_are_decoded_or_refused(extension: str) -> None:
    content, chance = encoded(extension), random.Random(5)
    rules = set()
    for _ in range(300):
        try:
            pixels = decode(damaged(content, chance), LIMITS)
            assert pixels.shape[0] * pixels.shape[1] <= LIMITS.max_pixels
        except Rejected as refused:
            rules.add(refused.rule)
    assert "image.damaged" in rules or extension == ".tiff"
    assert rules <= {"image.damaged", "image.unknown_format", "image.too_many_pixels", "image.empty"}


def test_a_png_that_claims_a_huge_chunk_is_refused_before_memory_is_taken() -> None:
    content = bytearray(encoded(".png"))
    content[33:37] = struct.pack(">I", 0x7FFFFFFF)  # the length of its first data chunk
    with pytest.raises(Rejected) as refused:
        decode(bytes(content), LIMITS)
    assert refused.value.rule == "image.damaged"
    assert "chunk" in refused.value.reason


def test_bytes_behind_the_end_of_a_png_do_no_harm() -> None:
    assert decode(encoded(".png") + b"left by some editor", LIMITS).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [(2, 4, b"abc\0"), (4, 2, struct.pack("<I", 8)), (5, 1, struct.pack("<I", 60)), (3, 1, b"\xff\xff\0\0")],
    ids=["text", "two numbers", "a fraction of nothing", "a tile of many pixels"],
)
def test_a_tiff_that_tells_a_tile_of_no_length_is_refused(kind: int, count: int, value: bytes) -> None:
    content = encoded(".tiff")
    at = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, at)[0]
    tile = struct.pack("<HHI", 322, kind, count) + value
    tags = content[at + 2 : at + 2 + 12 * entries] + tile + struct.pack("<HHII", 323, 4, 1, 4_000_000)
    moved = len(content)
    told = content[:4] + struct.pack("<I", moved) + content[8:] + struct.pack("<H", entries + 2) + tags + bytes(4)
    with pytest.raises(Rejected) as refused:
        decode(told, LIMITS)
    assert refused.value.rule in ("image.damaged", "image.too_many_pixels")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused_and_a_picture_alone_is_not(kind: str) -> None:
    first, second = (Image.new("RGB", (9, 9), colour) for colour in ("red", "blue"))
    alone, together = io.BytesIO(), io.BytesIO()
    first.save(alone, kind, save_all=True)
    first.save(together, kind, save_all=True, append_images=[second])
    assert decode(alone.getvalue(), LIMITS).shape == (9, 9, 3)
    with pytest.raises(Rejected, match=r"image\.animated"):
        decode(together.getvalue(), LIMITS)
