"""Frames of videos as annotations."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from labelstream.errors import Misconfigured
from labelstream_cli.importers import Imported, ImportedFolder, NamedBox, Options, Pixels, Unreadable, read_folder

FRAMES = 25
LINE = "1 0.5 0.5 0.2 0.4\n"


def write_video(path: Path, frames: int = FRAMES, codec: str = "MJPG") -> Path:
    """Write a video whose frame n has the brightness 10·n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (96, 64))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((64, 96, 3), number * 10, np.uint8))
    writer.release()
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def reasons(folder: ImportedFolder) -> str:
    return "\n".join(map(str, folder.problems))


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mov", "mp4v"), (".mkv", "mp4v"), (".webm", "VP80")]
)
def test_every_nth_frame_is_one_unvalidated_image_of_the_videos_medium(tmp_path: Path, suffix: str, codec: str) -> None:
    write_video(tmp_path / f"clips/film{suffix}", codec=codec)

    folder = read_folder(tmp_path / "clips")

    assert folder.form == "videos"
    assert [one.name for one in folder] == ["film_000000", "film_000010", "film_000020"]
    assert {(one.medium, one.validated, one.boxes) for one in folder} == {(f"film{suffix}", False, ())}
    with Pixels() as pixels:
        brightness = [np.asarray(Image.open(io.BytesIO(pixels.read(one)))).mean() for one in folder]
    assert brightness == pytest.approx([0, 100, 200], abs=5)


def test_one_video_can_be_named_and_its_frames_taken_more_often(tmp_path: Path) -> None:
    write_video(tmp_path / "other.avi")
    video = write_video(tmp_path / "film.avi")

    folder = read_folder(video, options=Options(every=8))

    assert [(one.name, one.frame) for one in folder] == [
        ("film_000000", 0), ("film_000008", 8), ("film_000016", 16), ("film_000024", 24),
    ]  # fmt: skip


def test_labelled_frames_are_validated_and_always_taken(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi")
    write(tmp_path / "labels/film_7.txt", LINE)
    write(tmp_path / "labels/film_000020.txt", "")  # a person has seen that nothing is there
    write(tmp_path / "classes.txt", "car\nboat\n")

    folder = read_folder(tmp_path)

    assert [(one.name, one.validated, len(one.boxes)) for one in folder] == [
        ("film_000000", False, 0), ("film_000007", True, 1), ("film_000010", False, 0), ("film_000020", True, 0),
    ]  # fmt: skip
    assert folder.images[1].boxes[0] == NamedBox("boat", *map(pytest.approx, (0.5, 0.5, 0.2, 0.4)))
    assert folder.classes == ("car", "boat")


def test_labels_of_frames_that_do_not_exist_are_reported(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi")
    write(tmp_path / "labels/film_000099.txt", LINE)
    write(tmp_path / "classes.txt", "car\nboat\n")

    folder = read_folder(tmp_path)

    assert len(folder) == 3
    assert "film_000099: film.avi has no frame 99, only 25" in reasons(folder)


def test_labels_of_a_video_that_do_not_say_their_classes_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi")
    write(tmp_path / "labels/film_000000.txt", LINE)

    with pytest.raises(Misconfigured, match="do not say their classes"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, options=Options(numbered=True)).images[0].boxes[0].name == "1"


def test_videos_are_taken_besides_a_folder_of_annotated_images(
    tmp_path: Path, make_image: Callable[[Path], object]
) -> None:
    make_image(tmp_path / "images/a.jpg")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4\n")
    write(tmp_path / "labels/film_000010.txt", LINE)
    write(tmp_path / "classes.txt", "car\nboat\n")
    write_video(tmp_path / "film.avi")

    folder = read_folder(tmp_path)

    assert folder.form == "YOLO"
    assert {one.name: len(one.boxes) for one in folder} == {
        "a": 1, "film_000000": 0, "film_000010": 1, "film_000020": 0,
    }  # fmt: skip
    assert folder.problems == ()


def test_a_broken_video_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi")
    (tmp_path / "junk.mp4").write_bytes(b"\0" * 5000)
    (tmp_path / "empty.mkv").write_bytes(b"")

    folder = read_folder(tmp_path)

    assert {one.medium for one in folder} == {"film.avi"}
    assert {one.name: one.kind for one in folder.problems} == {
        "junk.mp4": "video unreadable", "empty.mkv": "video unreadable",
    }  # fmt: skip


def test_a_video_that_ends_early_gives_the_frames_that_it_has(tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.avi")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])

    with Pixels() as pixels:
        assert pixels.read(Imported("a", video, "m", None, (), frame=0)).startswith(b"\xff\xd8")
        for number in (20, 24):
            with pytest.raises(Unreadable, match=r"film\.avi ends or is broken at frame \d+"):
                pixels.read(Imported("b", video, "m", None, (), frame=number))


def test_an_earlier_frame_can_be_read_again(tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.avi")
    with Pixels() as pixels:
        frames = [pixels.read(Imported("x", video, "m", None, (), frame=number)) for number in (12, 3, 12)]

    assert frames[0] == frames[2] != frames[1]


def test_two_videos_of_one_name_are_told_apart_by_leaving_one_out(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi")
    write_video(tmp_path / "film.mov", codec="mp4v")

    folder = read_folder(tmp_path)

    assert {one.medium for one in folder} == {"film.avi"}
    assert "film.mov: its frames have the names of film.avi's" in reasons(folder)


def test_images_beside_videos_are_left_out_until_they_are_asked_for(
    tmp_path: Path, make_image: Callable[[Path], object]
) -> None:
    write_video(tmp_path / "film.avi")
    make_image(tmp_path / "a.jpg")

    assert "a: it has no labels; --unlabelled sends it all the same" in reasons(read_folder(tmp_path))
    asked = read_folder(tmp_path, options=Options(unlabelled=True))
    assert "a" in [one.name for one in asked]
    assert asked.problems == ()
