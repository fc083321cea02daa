"""Damaged images and forms over HTTP: refused with a reason, never a fault. `FUZZ=<cases>` sends many."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator

import pytest
from PIL import Image

FUZZ = int(os.environ.get("FUZZ", "0"))
CASES = FUZZ or 400
MODES = {"JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "RGBA", "P", "1", "I;16"), "WEBP": ("RGB", "RGBA")}
MODES |= {"BMP": ("RGB", "P", "1"), "TIFF": ("RGB", "CMYK", "L", "F", "I;16", "LAB"), "GIF": ("P",), "ICO": ("RGB",)}

pytestmark = pytest.mark.timeout(7200 if FUZZ else 300)


def images() -> Iterator[bytes]:
    """Small images of every format and mode."""
    for kind, modes in MODES.items():
        for mode in modes:
            file = io.BytesIO()
            Image.new(mode, (40, 30)).save(file, kind)
            yield file.getvalue()


def damaged(chance: random.Random, content: bytes) -> bytes:
    """The same with some bytes exchanged, moved, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        at = chance.randrange(len(changed)) if chance.random() < 0.5 else chance.randrange(min(len(changed), 64))
        end = at + chance.randrange(1, 9)
        piece = bytes(changed[at:end])
        extremes = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4)
        changed[at:end] = chance.choice((b"", piece * 3, chance.randbytes(len(piece)), *extremes))
        changed = changed or bytearray(b"\0")
    return bytes(changed[: chance.randrange(1, len(changed) + 1)] if chance.random() < 0.2 else changed)


async def test_damage_is_refused_with_a_reason(world) -> None:
    chance, originals = random.Random(7), list(images())
    form = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + originals[0] + b"\r\n--b--\r\n"
    )
    await world.promote("m1", 1)
    seen: dict[int, int] = {}
    async with world.replica(max_pixels=1_000_000) as client:
        await world.heard()
        for _ in range(CASES):
            as_form = chance.random() < 0.2
            content = damaged(chance, form if as_form else chance.choice(originals))
            headers = {"content-type": "multipart/form-data; boundary=b"} if as_form else {}
            headers |= {"accept": "image/jpeg"} if chance.random() < 0.1 else {}
            answer = await client.post("/v1/predict", content=content, headers=headers)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            assert answer.status_code in {200, 400, 413, 415, 422}, (answer.text, content)
    assert {200, 400, 415, 422} <= set(seen), seen
