"""The HTTP API: what is answered, and what is refused with which rule."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

MEDIA_TYPE = "application/problem+json"
BLUE = (255, 0, 0)
RED = (0, 0, 255)


@pytest.fixture
async def client(world):
    """A client of a replica that serves a model."""
    await world.promote("m1", 1)
    async with world.replica(max_image_bytes=200_000, max_pixels=1_000_000) as client:
        await world.heard()
        yield client


def problem(response: httpx.Response, status: int, rule: str) -> dict:
    """The problem that a response must be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert (body["status"], body["rule"], body["type"]) == (status, rule, f"urn:labelstream:rule:{rule}")
    assert body["detail"]
    assert body["hint"]
    return body


async def test_an_answer_says_what_was_found_and_who_says_so(client, red_picture) -> None:
    body = (await client.post("/v1/predict", content=red_picture)).json()
    assert (body["model"], body["project"], body["promotion"]) == ("m1", "default", 1)
    assert (body["dataset"], body["artifact"]) == ("d" * 64, "onnx-fp32")
    assert body["class_schema"]["name"] == "cells"
    assert body["image"] == {"width": 64, "height": 64}
    assert set(body["timings_ms"]) == {"wait", "decode", "pre_process", "forward", "post_process"}
    (found,) = body["detections"]
    assert (found["class"], found["name"], found["confidence"]) == (0, "red", 1.0)
    assert found["box"] == {"x1": 32, "y1": 8, "x2": 40, "y2": 16}
    assert found["normalized"] == {"x1": 0.5, "y1": 0.125, "x2": 0.625, "y2": 0.25}


async def test_a_form_and_a_raw_body_get_the_same_answer(client, red_picture) -> None:
    raw = await client.post("/v1/predict", content=red_picture)
    form = await client.post("/v1/predict", files={"image": ("a.png", red_picture, "image/png")})
    assert form.status_code == 200
    assert form.json()["detections"] == raw.json()["detections"] != []


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
async def test_every_format_is_read(client, draw, extension) -> None:
    image = draw((1, 1, BLUE), extension=extension)
    body = (await client.post("/v1/predict", content=image)).json()
    assert [each["name"] for each in body["detections"]] == ["blue"]


async def test_boxes_are_in_pixels_of_the_image_as_it_was_sent(client) -> None:
    image = np.full((256, 512, 3), 114, np.uint8)  # letterboxed to 64 × 32, 16 rows of padding above
    image[64:128, 64:128] = RED
    body = (await client.post("/v1/predict", content=cv2.imencode(".png", image)[1].tobytes())).json()
    assert body["image"] == {"width": 512, "height": 256}
    assert body["detections"][0]["box"] == {"x1": 64, "y1": 64, "x2": 128, "y2": 128}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
async def test_an_image_is_turned_as_its_orientation_says(client, draw, kind) -> None:
    upright = cv2.cvtColor(cv2.imdecode(np.frombuffer(draw((0, 7, RED)), np.uint8), cv2.IMREAD_COLOR), 4)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = io.BytesIO()
    Image.fromarray(upright).save(file, kind, exif=exif, quality=100)
    body = (await client.post("/v1/predict", content=file.getvalue())).json()
    (found,) = body["detections"]
    assert (found["box"]["x1"], found["box"]["y1"]) == (0, 56)


async def test_thresholds_belong_to_the_request(client, world, draw) -> None:
    await world.promote("m2", 2, gain=0.4)
    await world.heard()
    image = draw((0, 0, RED), (4, 4, BLUE))
    found = {
        query: len((await client.post(f"/v1/predict?{query}", content=image)).json()["detections"])
        for query in ("", "confidence=0.5", "confidence=0.3", "max_detections=1")
    }
    assert found == {"": 2, "confidence=0.5": 0, "confidence=0.3": 2, "max_detections=1": 1}


async def test_what_is_no_image_is_refused(client) -> None:
    problem(await client.post("/v1/predict", content=b"hello, this is text"), 415, "image.unknown_format")
    problem(await client.post("/v1/predict", content=b""), 400, "image.empty")
    damaged = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()[:60]
    problem(await client.post("/v1/predict", content=damaged), 422, "image.damaged")


async def test_a_gif_is_not_one_of_the_formats(client) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "GIF")
    problem(await client.post("/v1/predict", content=file.getvalue()), 415, "image.unknown_format")


async def test_too_many_bytes_are_refused_in_every_form(client) -> None:
    large = b"\xff" * 300_000
    problem(await client.post("/v1/predict", content=large), 413, "image.too_large")
    problem(await client.post("/v1/predict", files={"image": large}), 413, "image.too_large")

    async def unannounced():
        for _ in range(30):
            yield large[:10_000]

    problem(await client.post("/v1/predict", content=unannounced()), 413, "image.too_large")


def bomb(width: int, height: int) -> bytes:
    """A small PNG that would decode to a huge picture of nothing."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(b"\0" * (width // 8 + 1)) for _ in range(height)) + rows.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


async def test_a_bomb_is_refused_before_it_is_decoded(client, red_picture) -> None:
    small_file = bomb(30_000, 30_000)
    assert len(small_file) < 200_000
    bombs = [client.post("/v1/predict", content=small_file) for _ in range(4)]
    beside = [client.post("/v1/predict", content=red_picture) for _ in range(4)]
    answers = await asyncio.gather(*bombs, *beside)
    for refused in answers[:4]:
        assert "30000" in problem(refused, 413, "image.too_many_pixels")["detail"]
    assert [each.status_code for each in answers[4:]] == [200] * 4


async def test_a_tiff_with_huge_tiles_is_refused(client) -> None:
    entries = [
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (277, 1),
        (322, 32_768),
        (323, 32_768),
        (324, 0),
        (325, 9),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(64)
    problem(await client.post("/v1/predict", content=tiff), 413, "image.too_many_pixels")


async def test_a_wrong_parameter_is_named(client, red_picture) -> None:
    for query in ("confidence=2", "iou=-1", "max_detections=0", "confidence=high"):
        answer = await client.post(f"/v1/predict?{query}", content=red_picture)
        assert query.split("=")[0] in problem(answer, 422, "parameter.invalid")["detail"]


async def test_an_unknown_project_is_said_with_those_that_are_served(client, red_picture) -> None:
    answer = await client.post("/v1/predict?project=other", content=red_picture)
    assert "default" in problem(answer, 404, "project.unknown")["hint"]
    problem(await client.get("/v1/schema?project=other"), 404, "project.unknown")


async def test_a_form_without_an_image_is_malformed(client) -> None:
    problem(await client.post("/v1/predict", files={"photo": b"x"}), 400, "request.malformed")
    headers = {"content-type": "multipart/form-data"}
    problem(await client.post("/v1/predict", content=b"x", headers=headers), 400, "request.malformed")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    problem(await client.post("/v1/predict", content=b"not a form", headers=headers), 400, "request.malformed")


async def test_other_addresses_are_problems_too(client) -> None:
    problem(await client.get("/v2/predict"), 404, "http.not_found")
    problem(await client.get("/v1/predict"), 405, "http.method_not_allowed")


async def test_without_a_model_the_caller_is_told_when_to_ask_again(world, red_picture) -> None:
    async with world.replica() as client:
        answer = await client.post("/v1/predict", content=red_picture)
        problem(answer, 503, "model.none_yet")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/v1/models")).json() == {"models": [], "waiting": ["default"]}
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_models_and_schema_say_what_serves(client) -> None:
    (model,) = (await client.get("/v1/models")).json()["models"]
    assert (model["model"], model["promotion"], model["image_size"]) == ("m1", 1, 64)
    assert model["backend"] == "onnxruntime on the CPU"
    assert [(row["artifact"], row["runtime"]) for row in model["tried"]] == [("onnx-fp32", "onnxruntime")]
    schema = (await client.get("/v1/schema")).json()
    assert schema["classes"] == ["red", "blue"]
    assert schema["digest"] == model["class_schema"]["digest"]


async def test_left_alone_a_replica_races_the_runtimes_that_read_the_artifact(world) -> None:
    await world.promote("m1", 1)
    async with world.replica(runtimes=()) as client:
        await world.heard()
        (model,) = (await client.get("/v1/models")).json()["models"]
    assert {(row["artifact"], row["runtime"]) for row in model["tried"]} == {
        ("onnx-fp32", "openvino"),
        ("onnx-fp32", "onnxruntime"),
    }


async def test_the_openapi_schema_and_the_metrics_are_there(client, red_picture) -> None:
    await client.post("/v1/predict", content=red_picture)
    schema = (await client.get("/openapi.json")).json()
    body = schema["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg"} <= set(body)
    text = (await client.get("/metrics")).text
    assert 'labelstream_predictions_total{model="m1",project="default"}' in text


async def test_a_swap_under_concurrent_requests_drops_none(client, world, red_picture) -> None:
    answered: list[httpx.Response] = []
    news: asyncio.Queue[None] = asyncio.Queue()
    going = True

    async def ask() -> None:
        while going:
            answered.append(await client.post("/v1/predict", content=red_picture))
            news.put_nowait(None)

    askers = [asyncio.create_task(ask()) for _ in range(6)]
    for number in range(2, 6):
        await world.promote(f"m{number}", number, gain=1 - number / 20)
        await world.heard()
        while not news.empty():
            news.get_nowait()
        for _ in range(12):
            await news.get()
    going = False
    await asyncio.gather(*askers)
    assert {each.status_code for each in answered} == {200}
    assert {each.json()["model"] for each in answered} >= {"m2", "m3", "m4", "m5"}
    for each in (response.json() for response in answered):  # an answer is never half of one, half of the other
        number = int(each["model"][1:])
        assert each["promotion"] == number
        assert each["detections"][0]["confidence"] == pytest.approx(1 if number == 1 else 1 - number / 20, abs=1e-4)
