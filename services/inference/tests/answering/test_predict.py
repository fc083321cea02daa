"""`/v1/predict`: what a request may wish for, and what every answer carries."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError
from PIL import Image
from structlog.testing import capture_logs

from inference.answering.problems import problem_of

RED, BLUE = (0, 0, 255), (255, 0, 0)


@pytest.fixture
async def client(world):
    """A client of a replica that serves a model, which pages of one origin may ask."""
    await world.promote("m1", 1)
    async with world.replica(cors_origins=("https://app.example.org",)) as client:
        await world.heard()
        yield client


def problem(response, status: int, rule: str) -> dict:
    """The problem that a response must be."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    body = response.json()
    assert body["rule"] == rule
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["blue", "red"]),
        ("classes=red", ["red"]),
        ("classes=RED", ["red"]),
        ("classes=1", ["blue"]),
        ("classes=red&classes=Blue", ["blue", "red"]),
        ("classes=blue&max_detections=1", ["blue"]),
        ("classes=red&max_detections=1", ["red"]),
    ],
)
async def test_only_the_classes_that_are_wished_for_are_told_of(client, draw, query, found) -> None:
    image = draw((0, 0, RED), (4, 4, BLUE))
    body = (await client.post(f"/v1/predict?{query}", content=image)).json()
    assert sorted(each["name"] for each in body["detections"]) == found


async def test_an_unknown_class_is_refused_with_those_that_there_are(client, red_picture) -> None:
    told = problem(await client.post("/v1/predict?classes=reed", content=red_picture), 422, "class.unknown")
    assert "'reed'" in told["detail"]
    assert "Is it red?" in told["hint"]
    assert "red (0), blue (1)" in told["hint"]


async def test_an_unknown_parameter_is_refused_with_the_nearest_one(client, red_picture) -> None:
    told = problem(await client.post("/v1/predict?confidense=0.5", content=red_picture), 422, "parameter.invalid")
    assert "is it 'confidence'?" in told["detail"]
    assert "max_detections" in told["hint"]
    problem(await client.get("/v1/schema?projekt=a"), 422, "parameter.invalid")
    twice = "/v1/predict?confidence=0.5&confidence=0.9"
    told = problem(await client.post(twice, content=red_picture), 422, "parameter.invalid")
    assert told["detail"] == "confidence: it stands twice: '0.5' and '0.9'"


async def test_another_model_than_the_pinned_one_does_not_answer(client, red_picture) -> None:
    assert (await client.post("/v1/predict?model=m1", content=red_picture)).status_code == 200
    problem(await client.post("/v1/predict?model=m0", content=red_picture), 404, "model.not_here")


@pytest.mark.parametrize("told", ["soon", "0", "-1", "1.5", "", "9" * 30])
async def test_a_deadline_is_a_whole_number_of_milliseconds(client, red_picture, told) -> None:
    answer = await client.post("/v1/predict", content=red_picture, headers={"X-Deadline-Ms": told})
    problem(answer, 422, "deadline.invalid")


async def test_a_deadline_that_is_far_away_is_kept(client, red_picture) -> None:
    answer = await client.post("/v1/predict", content=red_picture, headers={"X-Deadline-Ms": "60000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (4000, 3), (1920, 1080)])
async def test_the_image_comes_back_with_its_boxes_on_request(client, size) -> None:
    picture = cv2.imencode(".png", np.full((size[1], size[0], 3), RED, np.uint8))[1].tobytes()
    answer = await client.post("/v1/predict", content=picture, headers={"Accept": "image/jpeg"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (size[1], size[0], 3)
    assert answer.headers["x-labelstream-model"] == "m1"
    assert "forward;dur=" in answer.headers["server-timing"]


async def test_what_is_drawn_is_the_box_in_the_colour_of_its_class(client, draw) -> None:
    answer = await client.post("/v1/predict", content=draw((4, 4, BLUE)), headers={"Accept": "image/jpeg"})
    shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR).astype(int)
    plain = cv2.imdecode(np.frombuffer(draw((4, 4, BLUE)), np.uint8), cv2.IMREAD_COLOR).astype(int)
    changed = np.abs(shown - plain).max(axis=2) > 60
    assert changed[40, 33:39].all(), "the lower edge of the box"
    assert not changed[50:].any(), "what lies far from it"


async def test_a_drawn_image_is_turned_as_its_orientation_says(client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (60, 20)).save(file, "JPEG", exif=exif)
    answer = await client.post("/v1/predict", content=file.getvalue(), headers={"Accept": "image/jpeg"})
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.size == (20, 60)
        assert shown.getexif().get(0x0112, 1) == 1


async def test_a_problem_is_told_as_one_also_to_who_wants_an_image(client, red_picture) -> None:
    for_image = {"Accept": "image/jpeg"}
    problem(await client.post("/v1/predict", content=b"no image", headers=for_image), 415, "image.unknown_format")
    refused = await client.post("/v1/predict", content=red_picture, headers={"Accept": "text/html"})
    problem(refused, 406, "http.not_acceptable")


async def test_a_request_keeps_a_plain_id_and_gets_one_otherwise(client, red_picture) -> None:
    answer = await client.post("/v1/predict", content=red_picture, headers={"X-Request-ID": "from-me.1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "from-me.1"
    for told in ({}, {"X-Request-ID": "x" * 101}, {"X-Request-ID": 'a"b'}, {"X-Request-ID": ""}):
        made = (await client.get("/v1/models", headers=told)).headers["x-request-id"]
        assert len(made) == 16
    problem(await client.get("/nowhere", headers={"X-Request-ID": "lost"}), 404, "http.not_found")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_other_methods_are_told_which_there_are(client, method) -> None:
    answer = await client.request(method, "/v1/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_pages_of_allowed_origins_may_ask_and_read_refusals(client, red_picture) -> None:
    ours, others = {"Origin": "https://app.example.org"}, {"Origin": "https://evil.example.org"}
    for answer in (
        await client.post("/v1/predict", content=red_picture, headers=ours),
        await client.post("/v1/predict", content=b"", headers=ours),
        await client.get("/nowhere", headers=ours),
    ):
        assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "access-control-allow-origin" not in (await client.get("/v1/models", headers=others)).headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-deadline-ms"}
    assert (await client.options("/v1/predict", headers=ours | asked)).status_code == 200
    assert (await client.options("/v1/predict", headers=others | asked)).status_code == 400


async def test_a_fault_of_ours_is_told_without_its_details(world, client, red_picture, monkeypatch) -> None:
    def fall(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("inference.answering.predict.prediction", fall)
    with capture_logs() as log:
        answer = await client.post("/v1/predict", content=red_picture, headers={"Origin": "https://app.example.org"})
    problem(answer, 500, "server.fault")
    assert [each["event"] for each in log if each["log_level"] == "error"] == ["request.failed"]
    assert "secret" not in answer.text
    assert "access-control-allow-origin" in answer.headers


async def test_requests_are_counted_by_the_pattern_of_their_address(client, red_picture) -> None:
    await client.post("/v1/predict?confidence=0.5", content=red_picture)
    await client.get("/some/where/else")
    text = (await client.get("/metrics")).text
    assert 'labelstream_requests_total{method="POST",route="/v1/predict",status="200"}' in text
    assert 'labelstream_requests_total{method="GET",route="other",status="404"}' in text
    assert "/some/where" not in text


async def test_the_log_tells_of_a_request_and_not_of_what_was_in_it(client, red_picture, capsys) -> None:
    files = {"image": ("holiday.png", red_picture, "image/png")}
    answer = await client.post("/v1/predict?classes=red", files=files)
    log = capsys.readouterr().out
    assert "request.answered" in log
    assert answer.headers["x-request-id"] in log
    assert "holiday" not in log
    await client.get("/healthz")
    assert "request.answered" not in capsys.readouterr().out


async def test_an_image_too_long_for_a_jpeg_is_refused_where_it_shall_be_drawn(client) -> None:
    picture = cv2.imencode(".png", np.zeros((1, 65_501, 3), np.uint8))[1].tobytes()
    assert (await client.post("/v1/predict", content=picture)).status_code == 200
    problem(
        await client.post("/v1/predict", content=picture, headers={"Accept": "image/jpeg"}),
        422,
        "image.too_long_to_draw",
    )


def test_an_error_of_all_parameters_together_is_a_refusal_too() -> None:
    told = problem_of(
        RequestValidationError([{"type": "value_error", "loc": (), "msg": "these two don't go together"}])
    )
    assert (told.status, told.rule) == (422, "parameter.invalid")
    assert told.detail == "the query: these two don't go together"
