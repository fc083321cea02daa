"""The parts of the client that need no connection."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelstream.client.errors import NotUnderstood, Problem
from labelstream.client.images import encoded, label_of
from labelstream.client.lines import Lines
from labelstream.client.videos import Video


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 64])
def test_an_array_becomes_a_picture_of_the_same_pixels(width: int) -> None:
    colours = np.random.default_rng(width).integers(0, 256, (7, width, 3), np.uint8)
    for pixels in (colours, colours[::-1], colours[:, ::-1]):
        decoded = cv2.imdecode(np.frombuffer(encoded(pixels), np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(decoded, pixels)
    grey = cv2.imdecode(np.frombuffer(encoded(colours[..., 0]), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(grey, np.repeat(colours[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), io.StringIO("x"), 7],
    ids=["float", "four channels", "empty", "text file", "number"],
)  # fmt: skip
def test_what_is_no_image_is_told(wrong: object) -> None:
    with pytest.raises(TypeError):
        encoded(wrong)  # type: ignore[arg-type]


def test_images_without_a_path_are_called_by_their_number(tmp_path: Path) -> None:
    assert label_of(b"x", 3) == "3"
    assert label_of(tmp_path, 3) == str(tmp_path)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_lines_are_read_however_they_are_cut(size: int) -> None:
    data = '{"a": 1}\n\n{"b": "ä\\n"}\n{"c": 3}\n'.encode()
    lines = Lines()
    read = [one for at in range(0, len(data), size) for one in lines.feed(data[at : at + size])]
    assert read == [{"a": 1}, {"b": "ä\n"}, {"c": 3}]


def test_a_line_without_end_is_not_collected_for_ever() -> None:
    lines = Lines()
    for _ in range(64):
        assert list(lines.feed(b"x" * (1 << 20))) == []
    with pytest.raises(NotUnderstood, match="a line"):
        list(lines.feed(b"x"))


def test_a_video_is_sent_from_where_it_stands_each_time(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(b"header" + b"film" * 1_000_000)
    assert b"".join(Video(path).pieces()) == path.read_bytes()
    with path.open("rb") as file:
        file.seek(6)
        video = Video(file)
        assert video.size_bytes == 4_000_000
        assert b"".join(video.pieces()) == b"".join(video.pieces()) == b"film" * 1_000_000
    with pytest.raises(FileNotFoundError):
        Video(tmp_path / "absent")


@pytest.mark.parametrize("said", [None, [], "text", {}])
def test_what_is_no_problem_is_told_by_its_status(said: object) -> None:
    problem = Problem.of(said, 502)
    assert (problem.status, problem.rule) == (502, "http.502")
    assert "502" in str(problem)
