"""Zips and videos that would become huge, or are damaged at random: never a fault, and nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import zipfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import pytest

from .clips import SIDE, picture, timed, written

FUZZ = int(os.environ.get("FUZZ", "0"))  # more rounds
MOST_MB = 200
FLOOD = 300 << 20  # bytes: more than may be taken
MOST_FRAMES = 20_000  # of a video, as stream_bombed.py says


def archive(files: dict[str, bytes]) -> bytes:
    """A zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return made.getvalue()


@cache
def zeros(size_bytes: int) -> bytes:
    """A zip of zeros, made without having them all at once."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file, file.open("zeros.png", "w") as entry:
        for _ in range(size_bytes >> 20):
            entry.write(bytes(1 << 20))
    return made.getvalue()


def overlapping(count: int) -> bytes:
    """Many entries of the directory that are the same bytes."""
    one = archive({"a.png": bytes(900_000)})
    begin, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    length = (end - begin) * count
    return (
        one[:begin] + one[begin:end] * count + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, begin, 0)
    )


def lying() -> bytes:
    """An entry of 300 MB that says it is short."""
    sent = bytearray(zeros(FLOOD))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", sent, sent.index(signature) + offset, 1000)
    return bytes(sent)


def resized(clip: bytes, width: int, height: int) -> bytes:
    """A video of JPEG pictures that say they are of another size."""
    head = b"\xff\xc0\x00\x11\x08"  # of a picture's frame header
    assert head in clip
    return re.sub(re.escape(head) + b"....", head + struct.pack(">2H", height, width), clip, flags=re.DOTALL)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> dict:
    """What became of each bomb, in a service of its own."""
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("bombs")
    level = archive({"zeros.png": bytes(50 << 20)})
    for depth in range(3):
        level = archive({f"{depth}-{number}.zip": level for number in range(8)})
    clip = written(made / "a.avi", 5)
    bombs = {
        "batch-zeros.zip": zeros(FLOOD),
        "batch-nested.zip": level,
        "batch-overlap.zip": overlapping(900),
        "batch-many.zip": archive({f"{number}.png": b"" for number in range(20_000)}),
        "batch-lying.zip": lying(),
        "video-huge.avi": resized(clip, 30_000, 30_000),
        "video-long.mkv": timed(made / "long.mkv", [0, 10_000_000]),
        "video-many.mkv": _many(made / "many.mkv", MOST_FRAMES + 1),
    }
    for name, content in bombs.items():
        (folder / name).write_bytes(content)
    script = Path(__file__).with_name("stream_bombed.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _many(path: Path, count: int) -> bytes:
    """A video of so many frames of one byte each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")))
        for number in range(1, count):
            packet = av.Packet(b"\0")
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            container.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "status", "rules"),
    [
        ("batch-zeros.zip", 413, ("zip.too_dense",)),
        ("batch-nested.zip", 200, ("file.archive",)),
        ("batch-overlap.zip", 422, ("zip.overlapping",)),
        ("batch-many.zip", 413, ("batch.too_many_files",)),
        ("batch-lying.zip", 200, ("zip.entry_damaged", "image.unknown_format")),
        ("video-huge.avi", 422, ("video.damaged",)),
        ("video-long.mkv", 413, ("video.too_long",)),
        ("video-many.mkv", 413, ("video.too_many_frames",)),
    ],
)
def test_a_bomb_is_refused_with_its_reason_and_takes_little_memory(outcome, name, status, rules) -> None:
    told_status, rule, grown_mb = outcome["bombs"][name]
    assert (told_status, rule in rules) == (status, True), rule
    assert grown_mb < MOST_MB


def test_no_request_beside_a_bomb_fails_and_nothing_is_left(outcome) -> None:
    assert set(outcome["beside"]) == {200}
    assert outcome["left"] == 0


def damage(content: bytes, chance: random.Random) -> bytes:
    """Flip some bits, or cut, or both."""
    made = bytearray(content)
    for _ in range(chance.choice((0, 1, 3, 30))):
        made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made[: chance.randrange(1, len(made))] if chance.random() < 0.4 else made)


@pytest.fixture
async def client(world):
    """A client of a replica that decides soon."""
    await world.promote("m1", 1)
    async with world.replica(stream_stall_s=20, max_video_frames=2_000) as client:
        await world.heard()
        yield client


async def test_damaged_archives_are_never_a_fault(client, draw, world) -> None:
    whole = archive({f"{number}.png": draw((number, number, (0, 0, 255))) for number in range(4)})
    for seed in range(60 + 20 * FUZZ):
        answer = await client.post("/v1/predict/batch", content=damage(whole, random.Random(seed)))
        assert answer.status_code < 500, (seed, answer.text)
        assert "server.fault" not in answer.text, seed
    assert not list((world.directory / "state").glob("uploads/*"))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mjpeg"), ("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.ts", "mpeg4")]
)
async def test_damaged_videos_are_never_a_fault(client, tmp_path, world, name, codec) -> None:
    whole = timed(tmp_path / name, [40 * number for number in range(12)], codec)
    for seed in range(4 + 5 * FUZZ):
        answer = await client.post("/v1/video", content=damage(whole, random.Random(seed)))
        assert answer.status_code < 500, (seed, answer.text)
        assert "server.fault" not in answer.text, seed
    assert not list((world.directory / "state").glob("uploads/*"))
