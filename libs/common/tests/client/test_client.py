"""Both clients against a real server that misbehaves."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse, Response

from labelstream.client import Away, Box, Busy, NotUnderstood, Portion, Refused, Retries

from .both import BOTH
from .double import Double, Torn, found, lines, refusal, running

QUICK = Retries(attempts=4, total_s=60, first_s=0.001, most_s=0.002)
SUMMARY = {"summary": {"files": 2}}


@pytest.fixture(params=list(BOTH))
def client(request: pytest.FixtureRequest, double: Double) -> Any:
    with BOTH[request.param](double.url, "lsk_1_secret", retries=QUICK, timeout_s=60) as made:
        yield made


def _of(number: int, **more: Any) -> dict[str, Any]:
    return found(f"thing {number}", index=number, file=str(number), **more)


def test_an_answer_is_typed(client: Any, double: Double) -> None:
    told = client.predict(b"an image", confidence=0.4, classes=["car", "2"], project="default", deadline_s=9)
    (car,) = told.detections
    assert (told.model, told.promotion, told.width, told.schema.name) == ("m1", 3, 100, "traffic")
    assert (car.class_id, car.name, car.confidence) == (0, "car", 0.9)
    assert car.box == Box(10, 20, 30, 60)
    assert car.normalized.xywh == pytest.approx((0.2, 0.4, 0.2, 0.4))
    assert told.raw["a field of tomorrow"] == 1
    (asked,) = double.asked
    assert double.bodies == [b"an image"]
    assert asked.headers["authorization"] == "Bearer lsk_1_secret"
    assert 0 < int(asked.headers["x-deadline-ms"]) <= 9000
    assert asked.query_params.getlist("classes") == ["car", "2"]
    assert "deadline_s" not in asked.query_params


@pytest.mark.parametrize("kind", list(BOTH))
def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    kind: str, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with BOTH[kind](double.url, retries=Retries.none()) as client:
        assert client.predict(b"an image").model == "m1"


@pytest.mark.parametrize("kind", list(BOTH))
@pytest.mark.parametrize("url", ["127.0.0.1:8080", "inference", "http://", "ftp://host"])
def test_what_is_no_address_is_said_at_once(kind: str, url: str) -> None:
    with pytest.raises(ValueError, match="write http://host:port"), BOTH[kind](url) as client:
        client.predict(b"an image")


def test_images_are_given_in_any_form(client: Any, double: Double, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"in a file")
    grey = np.full((2, 3), 7, np.uint8)
    for image in (str(file), file, io.BytesIO(b"in a stream"), grey):
        client.predict(image)
    *rest, picture = double.bodies
    assert rest == [b"in a file", b"in a file", b"in a stream"]
    assert picture[:2] == b"BM"


def test_busy_services_are_asked_again_after_what_they_say(client: Any, double: Double) -> None:
    double.will(refusal(503, "server.busy", retry_after="0"), refusal(429, "rate.exceeded"), JSONResponse(found()))
    assert client.predict(b"x").model == "m1"
    assert len(double.asked) == 3


def test_a_service_that_stays_busy_is_given_up(client: Any, double: Double) -> None:
    double.will(refusal(503, "server.busy", retry_after="0"))
    with pytest.raises(Busy, match=r"because of server.busy. Do something.") as raised:
        client.predict(b"x")
    assert len(double.asked) == QUICK.attempts
    assert (raised.value.rule, raised.value.status, raised.value.request_id) == ("server.busy", 503, "r-1")


def test_a_wait_longer_than_our_patience_is_not_begun(client: Any, double: Double) -> None:
    double.will(refusal(503, "model.none_yet", retry_after="3600"))
    with pytest.raises(Busy) as raised:
        client.predict(b"x")
    assert len(double.asked) == 1
    assert raised.value.retry_after_s == 3600


def test_a_refusal_is_not_asked_again(client: Any, double: Double) -> None:
    double.will(refusal(415, "image.unknown_format"))
    with pytest.raises(Refused) as raised:
        client.predict(b"x")
    assert (len(double.asked), raised.value.rule, raised.value.hint) == (1, "image.unknown_format", "Do something.")


def test_a_broken_connection_is_tried_again(client: Any, double: Double) -> None:
    double.will(Torn(b"{"), Torn(b"{"), JSONResponse(found()))
    assert client.predict(b"x").model == "m1"
    assert len(double.asked) == 3


def test_a_service_that_keeps_still_is_asked_once(double: Double) -> None:
    for kind in BOTH.values():
        double.asked.clear()
        release = threading.Event()
        double.will(lambda *_, held=release: (held.wait(10) and Response()) or Response())
        with kind(double.url, retries=QUICK, timeout_s=1) as impatient, pytest.raises(Away, match="in time"):
            impatient.predict(b"x")
        release.set()
        for _ in range(1000):  # a slow server reads it when nobody waits any more
            if double.asked:
                break
            time.sleep(0.01)
        assert len(double.asked) == 1


@pytest.mark.parametrize("kind", list(BOTH))
def test_nobody_there_is_said_with_the_address(kind: str) -> None:
    with running(Response()) as url:
        pass
    with BOTH[kind](url, retries=QUICK) as lonely, pytest.raises(Away, match=url):
        lonely.models()


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"model": "m"}', b'{"model": 1, "detections": [1]}'])
def test_another_server_is_not_understood(client: Any, double: Double, body: bytes) -> None:
    double.will(Response(body))
    with pytest.raises(NotUnderstood):
        client.predict(b"x")
    assert len(double.asked) == 1


def test_a_picture_is_asked_for_by_its_type(client: Any, double: Double) -> None:
    double.will(Response(b"jpeg", media_type="image/jpeg"))
    assert client.annotated(b"x") == b"jpeg"
    assert double.asked[0].headers["accept"] == "image/jpeg"
    double.will(JSONResponse(found()))
    with pytest.raises(NotUnderstood):
        client.annotated(b"x")


def test_many_images_are_answered_with_their_own_problems(client: Any, double: Double, tmp_path: Path) -> None:
    problem = {"rule": "image.damaged", "detail": "it is damaged", "hint": "Mend it.", "status": 422}
    double.will(lines(_of(0), {"index": 1, "file": "1", "problem": problem}, SUMMARY))
    answers = list(client.predict_many([b"good", tmp_path / "absent.jpg", b"bad"]))
    by_index = {one.index: one for one in answers}
    assert by_index[0].result().detections[0].name == "thing 0"
    assert by_index[1].problem.rule == "file.unreadable"
    assert by_index[1].file == str(tmp_path / "absent.jpg")
    assert (by_index[2].problem.rule, by_index[2].prediction) == ("image.damaged", None)
    with pytest.raises(Refused, match=r"it is damaged. Mend it."):
        by_index[2].result()


def test_many_images_travel_in_portions(double: Double) -> None:
    for kind in BOTH.values():
        double.asked.clear()
        double.will(lines(_of(0), _of(1), SUMMARY), lines(_of(0), SUMMARY))
        with kind(double.url, portion=Portion(files=2)) as client:
            answers = list(client.predict_many(iter([b"a", b"b", b"c"])))
        assert [one.index for one in answers] == [0, 1, 2]
        assert len(double.asked) == 2


def test_after_a_broken_answer_only_the_rest_is_asked_again(client: Any, double: Double) -> None:
    whole = b"".join(piece.encode() + b"\n" for piece in [json.dumps(_of(1))])
    double.will(Torn(whole + b'{"index": 0, "mod'), lines(_of(0), SUMMARY))
    answers = list(client.predict_many([b"first", b"second"]))
    assert sorted(one.index for one in answers) == [0, 1]
    assert b"second" in double.bodies[0]
    assert b"second" not in double.bodies[1]
    assert b"first" in double.bodies[1]


def test_an_answer_that_never_gets_on_is_given_up(client: Any, double: Double) -> None:
    double.will(lines(SUMMARY))
    with pytest.raises(Away, match="before all images"):
        list(client.predict_many([b"x"]))
    assert len(double.asked) == QUICK.attempts


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"index": 9}\n', b'{"index": 0}\n'])
def test_broken_lines_are_not_understood(client: Any, double: Double, line: bytes) -> None:
    double.will(lines(cut=line))
    with pytest.raises(NotUnderstood):
        list(client.predict_many([b"x"]))


def test_a_video_is_answered_frame_by_frame(client: Any, double: Double, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film" * 700_000)
    problem = {"rule": "server.fault", "detail": "oh", "hint": "", "status": 500}
    seen = [found(frame=0, time_s=0.0), {"frame": 5, "time_s": 0.2, "problem": problem}, {"summary": {}}]
    double.will(refusal(503, "server.busy_streams", retry_after="0"), lines(*seen))
    first, second = client.video(film, every=5, confidence=0.3)
    assert (first.index, first.time_s, first.result().detections[0].name) == (0, 0.0, "car")
    assert (second.index, second.problem.rule) == (5, "server.fault")
    assert double.bodies == [film.read_bytes()] * 2
    assert dict(double.asked[1].query_params) == {"every": "5", "confidence": "0.3"}


def test_a_video_that_ends_early_says_why(client: Any, double: Double) -> None:
    problem = {"rule": "video.damaged", "detail": "it is damaged", "hint": "", "status": 422}
    double.will(lines(found(frame=0, time_s=0.0), {"problem": problem}, {"summary": {}}))
    with pytest.raises(Refused, match="it is damaged"):
        list(client.video(io.BytesIO(b"film")))
    double.will(lines(found(frame=0, time_s=0.0)))
    with pytest.raises(Away):
        list(client.video(io.BytesIO(b"film")))


def test_models_and_classes_are_told(client: Any, double: Double) -> None:
    told = {k: v for k, v in found().items() if k not in ("image", "detections", "timings_ms")}
    told |= {"backend": "onnx", "image_size": 640, "thresholds": {"confidence": 0.25}, "test": {}}
    double.will(
        JSONResponse({"models": [told], "waiting": ["cells"]}),
        JSONResponse({"name": "traffic", "version": 1, "digest": "d", "project": "default", "classes": ["car"]}),
    )
    models = client.models()
    assert models.of_project("default").thresholds == {"confidence": 0.25}
    assert (models.of_project("cells"), models.waiting) == (None, ("cells",))
    assert client.schema("default").classes == ("car",)


def test_what_is_no_wish_is_told_at_once(client: Any, double: Double) -> None:
    with pytest.raises(TypeError, match="confidance"):
        client.predict(b"x", confidance=0.5)
    with pytest.raises(TypeError, match="list of names"):
        client.predict(b"x", classes="car")
    assert double.asked == []
