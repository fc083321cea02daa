"""Asking about images and drawing what was found."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from labelstream.access import KeyToken
from labelstream.client import Client, Retries
from labelstream_cli.pictures import Marked, colour_of, draw
from labelstream_cli.predict_commands import write_pictures
from labelstream_cli.predicting import ask_about, asking
from labelstream_cli.running import CommandFailed

MakeImage = Callable[..., Path]
SAID = {
    "model": "m1",
    "project": "default",
    "promotion": 1,
    "artifact": "onnx-fp32",
    "class_schema": {"name": "ships", "version": 1, "digest": "d"},
    "image": {"width": 100, "height": 50},
    "timings_ms": {},
    "dataset": "d1",
    "detections": [
        {
            "class": 1,
            "name": "boat",
            "confidence": 0.875,
            "box": {"x1": 10, "y1": 20, "x2": 60, "y2": 40},
            "normalized": {"x1": 0.1, "y1": 0.4, "x2": 0.6, "y2": 0.8},
        },
    ],
}


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    made = Client("http://inference.test", retries=Retries.none())
    made._http = httpx.Client(base_url="http://inference.test", transport=httpx.MockTransport(answer))
    return made


def test_an_image_is_sent_as_it_is_and_the_wishes_as_parameters(tmp_path: Path, make_image: MakeImage) -> None:
    path = make_image(tmp_path / "a.jpg")
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=SAID)

    found = ask_about(client(answer), path, confidence=0.5, project=None)

    assert (asked[0].url.path, dict(asked[0].url.params)) == ("/v1/predict", {"confidence": "0.5"})
    assert asked[0].content == path.read_bytes()
    assert (found.model, found.dataset) == ("m1", "d1")
    assert (found.detections[0].name, found.detections[0].corners) == ("boat", (10, 20, 60, 40))


def test_a_key_is_shown_as_a_bearer_and_what_is_none_is_refused_and_not_repeated() -> None:
    token = KeyToken.new().text
    assert "authorization" not in asking("http://inference.test")._http.headers
    assert asking("http://inference.test", f" {token}\n")._http.headers["authorization"] == f"Bearer {token}"
    with pytest.raises(CommandFailed, match="no API key") as refused:
        asking("http://inference.test", "hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_problem_is_told_with_its_hint(tmp_path: Path, make_image: MakeImage) -> None:
    problem = {"detail": "no model yet", "hint": "Ask again in 5 s."}

    with pytest.raises(CommandFailed, match=r"no model yet\. Ask again in 5 s\."):
        ask_about(client(lambda _: httpx.Response(503, json=problem)), make_image(tmp_path / "a.jpg"))


def test_a_service_that_is_away_is_told_plainly(tmp_path: Path, make_image: MakeImage) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(CommandFailed, match=r"inference\.test.* does not answer: connection refused"):
        ask_about(client(refuse), make_image(tmp_path / "a.jpg"))


def test_boxes_are_drawn_in_the_colour_of_their_class_with_their_text() -> None:
    plain = Image.new("RGB", (200, 120))

    drawn = draw(plain, [Marked(1, "", (20, 50, 120, 100))])
    labelled = draw(plain, [Marked(1, "boat 88%", (20, 50, 120, 100))])

    assert drawn.getpixel((20, 75)) == colour_of(1)
    assert drawn.getpixel((70, 75)) == (0, 0, 0)
    assert labelled.getpixel((24, 40)) != (0, 0, 0)  # above the box
    assert plain.getbbox() is None  # the picture itself stays as it is


def test_classes_have_colours_that_differ() -> None:
    assert len({colour_of(number) for number in range(40)}) == 40


def test_one_picture_goes_into_a_file_and_several_into_a_directory(tmp_path: Path, make_image: MakeImage) -> None:
    with client(lambda _: httpx.Response(200, json=SAID)) as asked:
        answers = [ask_about(asked, make_image(tmp_path / f"{name}.jpg")) for name in ("a", "b")]

    assert write_pictures(answers[:1], tmp_path / "found.png") == [str(tmp_path / "found.png")]
    assert write_pictures(answers, tmp_path / "found") == [str(tmp_path / f"found/{name}.png") for name in ("a", "b")]
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (100, 50)
    with pytest.raises(CommandFailed, match="can't be written"):
        write_pictures(answers[:1], tmp_path / "found.nonsense")
