"""Batches: lines in order, problems file by file, and archives that are refused before anything is unpacked."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

RED, BLUE = (0, 0, 255), (255, 0, 0)
BATCH = "/v1/predict/batch"


@pytest.fixture
async def client(world):
    """A client of a replica with small limits."""
    await world.promote("m1", 1)
    limits = {"max_image_bytes": 200_000, "max_pixels": 1_000_000, "max_files": 20, "max_batch_bytes": 3_000_000}
    async with world.replica(**limits) as client:
        await world.heard()
        yield client


def lines(response) -> list[dict]:
    """The lines of a streamed answer."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def archive(files: dict[str, bytes] | list[tuple[str, bytes]], compression=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        for name, content in files.items() if isinstance(files, dict) else files:
            file.writestr(name, content)
    return made.getvalue()


def refused(response, status: int, rule: str) -> str:
    """The reason of a problem that a response must be."""
    assert (response.status_code, response.json()["rule"]) == (status, rule), response.text
    return response.json()["detail"]


async def test_files_of_a_form_are_answered_in_their_order(client, draw) -> None:
    sent = [("image", (f"{column}.png", draw((0, column, RED)), "image/png")) for column in range(8)]
    *answers, summary = lines(await client.post(BATCH, files=sent))
    assert [(each["index"], each["file"]) for each in answers] == [(i, f"{i}.png") for i in range(8)]
    assert [each["detections"][0]["box"]["x1"] for each in answers] == [8 * column for column in range(8)]
    assert {each["model"] for each in answers} == {"m1"}
    told = summary["summary"]
    assert (told["files"], told["answered"], told["failed"]) == (8, 8, 0)


async def test_a_file_that_is_no_image_is_a_line_among_the_others(client, draw) -> None:
    sent = {"a": ("a.png", draw((1, 1, BLUE))), "b": ("b.txt", b"text"), "c": ("c.png", b""), "d": ("d.png", draw())}
    a, b, c, d, summary = lines(await client.post(BATCH, files=sent))
    assert [each["name"] for each in a["detections"]] == ["blue"]
    assert (b["index"], b["file"], b["problem"]["rule"], b["problem"]["status"]) == (
        1,
        "b.txt",
        "image.unknown_format",
        415,
    )
    assert (c["index"], c["problem"]["rule"]) == (2, "image.empty")
    assert d["detections"] == []
    assert (summary["summary"]["answered"], summary["summary"]["failed"]) == (2, 2)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
async def test_a_zip_is_answered_as_a_body_and_as_the_only_file_of_a_form(client, draw, compression) -> None:
    sent = archive({"b/": b"", "b/2.png": draw((1, 2, RED)), "a.png": draw((3, 4, BLUE))}, compression)
    *raw, _ = lines(await client.post(BATCH, content=sent, headers={"content-type": "application/zip"}))
    *form, _ = lines(await client.post(BATCH, files={"any": ("x.zip", sent)}))
    assert [(each["file"], each["detections"]) for each in raw] == [(each["file"], each["detections"]) for each in form]
    assert [(each["file"], each["detections"][0]["name"]) for each in raw] == [("b/2.png", "red"), ("a.png", "blue")]


async def test_names_are_told_as_they_were_sent_and_written_nowhere(client, draw, tmp_path) -> None:
    names = [f"{tmp_path}/absolute.png", "../../up.png", "ä 1.png", "C:\\windows.png"]
    *answers, _ = lines(await client.post(BATCH, content=archive([(name, draw()) for name in names])))
    assert [each["file"] for each in answers] == names
    assert not (tmp_path / "absolute.png").exists()


async def test_what_macos_adds_to_an_archive_is_left_out(client, draw) -> None:
    sent = archive({"a.png": draw(), "__MACOSX/._a.png": b"x", ".DS_Store": b"x", "b/.DS_Store": b"x"})
    first, summary = lines(await client.post(BATCH, content=sent))
    assert (first["file"], summary["summary"]["files"]) == ("a.png", 1)


async def test_an_archive_in_an_archive_is_not_opened(client, draw) -> None:
    inner = archive({"a.png": draw()})
    nested, image, _ = lines(await client.post(BATCH, content=archive({"inner.zip": inner, "b.png": draw()})))
    assert nested["problem"]["rule"] == "file.archive"
    assert "detections" in image
    two = lines(await client.post(BATCH, files=[("f", ("1.zip", inner)), ("f", ("2.zip", inner))]))
    assert [each["problem"]["rule"] for each in two[:2]] == ["file.archive"] * 2


async def test_a_file_that_is_too_large_is_refused_alone(client, draw) -> None:
    sent = [("f", ("large.bmp", b"BM" + b"\1" * 250_000)), ("f", ("small.png", draw()))]
    large, small, _ = lines(await client.post(BATCH, files=sent))
    assert large["problem"]["rule"] == "image.too_large"
    assert "detections" in small


async def test_an_empty_batch_is_refused(client) -> None:
    refused(await client.post(BATCH, content=b""), 400, "batch.empty")
    refused(await client.post(BATCH, content=archive({})), 400, "batch.empty")
    refused(await client.post(BATCH, data={"a": "no file"}, files={}), 415, "batch.not_an_archive")
    refused(await client.post(BATCH, content=b"\x89PNG not a zip"), 415, "batch.not_an_archive")


async def test_too_many_files_and_bytes_are_refused_before_anything_is_answered(client, draw) -> None:
    image = draw()
    many = [("f", (f"{i}.png", image)) for i in range(21)]
    refused(await client.post(BATCH, files=many), 413, "batch.too_many_files")
    zipped = archive([(f"{i}.png", image) for i in range(21)])
    assert "21" in refused(await client.post(BATCH, content=zipped), 413, "batch.too_many_files")
    refused(await client.post(BATCH, content=b"PK" + bytes(3_000_000)), 413, "batch.too_large")
    unpacked = archive([(f"{i}.png", bytes(900_000) + b"x" * i) for i in range(4)])
    assert len(unpacked) < 10_000
    assert "3600006" in refused(await client.post(BATCH, content=unpacked), 413, "batch.too_large")


async def test_a_bomb_is_refused_by_its_density(client) -> None:
    bomb = archive({"zeros.png": bytes(2_000_000)})
    assert "zeros.png" in refused(await client.post(BATCH, content=bomb), 413, "zip.too_dense")


async def test_entries_that_lie_over_each_other_are_refused(client, draw) -> None:
    sent = archive({"a.png": draw((1, 1, RED)), "b.png": draw((1, 1, RED))}, zipfile.ZIP_STORED)
    second = sent.index(b"PK\x01\x02", sent.index(b"PK\x01\x02") + 4)
    pointing = sent[: second + 42] + struct.pack("<I", 0) + sent[second + 46 :]
    assert "b.png" in refused(await client.post(BATCH, content=pointing), 422, "zip.overlapping")


@pytest.mark.parametrize(
    ("offset", "value", "status", "rule"),
    [
        pytest.param(8, struct.pack("<H", 1), 422, "zip.encrypted", id="encrypted"),
        pytest.param(10, struct.pack("<H", 14), 422, "zip.unknown_compression", id="lzma"),
        pytest.param(42, struct.pack("<I", 1 << 30), 422, "zip.damaged", id="beyond the end"),
    ],
)
async def test_an_archive_that_can_not_be_read_is_refused(client, draw, offset, value, status, rule) -> None:
    sent = archive({"a.png": draw()})
    at = sent.index(b"PK\x01\x02") + offset
    refused(await client.post(BATCH, content=sent[:at] + value + sent[at + len(value) :]), status, rule)


async def test_a_cut_archive_is_refused(client, draw) -> None:
    sent = archive({"a.png": draw(), "b.png": draw()})
    refused(await client.post(BATCH, content=sent[:-30]), 422, "zip.damaged")


@pytest.mark.parametrize("told", [10, 100_000], ids=["less than it is", "more than it is"])
async def test_an_entry_that_lies_about_its_length_is_that_entry_s_problem(client, draw, told) -> None:
    sent = bytearray(archive({"a.png": b"\x89PNG" + bytes(5_000), "b.png": draw((1, 1, RED))}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", sent, sent.index(signature) + offset, told)
    lying, honest, summary = lines(await client.post(BATCH, content=bytes(sent)))
    assert lying["problem"]["rule"] in ("zip.entry_damaged", "image.unknown_format", "image.damaged")
    assert honest["detections"][0]["name"] == "red"
    assert summary["summary"]["failed"] == 1


async def test_a_directory_that_says_it_is_huge_is_not_read(client, draw) -> None:
    sent = bytearray(archive({"a.png": draw()}))
    struct.pack_into("<I", sent, len(sent) - 22 + 12, 1 << 30)
    refused(await client.post(BATCH, content=bytes(sent)), 422, "zip.damaged")


def in_large_form(sent: bytes, *, length: int | None = None, pointing: int | None = None) -> bytes:
    """The same archive with the large form of its end (zip64), which may tell another length, or lie elsewhere."""
    end = len(sent) - 22
    count, told, start = struct.unpack_from("<HII", sent, end + 10)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length or told, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end if pointing is None else pointing, 1)
    return sent[:end] + record + locator + sent[end:]


async def test_the_large_form_of_an_archive_is_read(client, draw) -> None:
    *answers, _ = lines(await client.post(BATCH, content=in_large_form(archive({"a.png": draw((1, 1, RED))}))))
    assert [each["detections"][0]["name"] for each in answers] == ["red"]


async def test_the_large_form_of_an_end_is_judged_where_it_is_read(client, draw) -> None:
    honest = in_large_form(archive({"a.png": draw()}))
    harmless = honest[honest.index(b"PK\x06\x06") :][:56]
    first = archive({"harmless": harmless, "a.png": draw()}, zipfile.ZIP_STORED)
    for pointing in (None, first.index(harmless)):
        lying = in_large_form(first, length=1 << 40, pointing=pointing)
        refused(await client.post(BATCH, content=lying), 422, "zip.damaged")


async def test_parameters_hold_for_every_file(client, draw) -> None:
    both = draw((0, 0, RED), (4, 4, BLUE))
    *answers, _ = lines(await client.post(f"{BATCH}?max_detections=1", files=[("f", ("a", both)), ("f", ("b", both))]))
    assert [len(each["detections"]) for each in answers] == [1, 1]
    assert (await client.post(f"{BATCH}?model=other", files={"f": both})).status_code == 404


async def test_a_form_that_ends_early_is_refused(client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    sent = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc'
    refused(await client.post(BATCH, content=sent, headers=headers), 400, "request.malformed")


async def test_a_large_batch_leaves_nothing_on_the_disk(client, world, draw) -> None:
    padded = [("f", (f"{i}.png", draw() + bytes(150_000))) for i in range(12)]  # more than is kept in memory
    *answers, _ = lines(await client.post(BATCH, files=padded))
    assert [each["file"] for each in answers] == [f"{i}.png" for i in range(12)]
    uploads = world.directory / "state" / "uploads"
    assert uploads.is_dir()
    assert list(uploads.iterdir()) == []
