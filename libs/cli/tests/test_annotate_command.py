"""labelstream annotate: what is read of a command line and a folder, and what is told (inference has its work)."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from labelstream.annotating import Annotated, AnnotateRequest, Failed, Progress, Ranked
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.service.settings import StoreSettings
from labelstream.values import FileRef
from labelstream_cli.annotate import view
from labelstream_cli.annotate.following import Images, Standing
from labelstream_cli.annotate.sources import Prefix, in_folder, listed, prefix_of
from labelstream_cli.main import app

STORE = StoreSettings(endpoint_url="http://store", access_key="a", secret_key="s")
REQUEST = AnnotateRequest(project="default", images=FileRef.of("k", b""), count=4, source="photos/", order="uncertain")


def printed(now: Standing, *ranking: Ranked, failed: tuple[Failed, ...] = ()) -> str:
    console = Console(width=160, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        view.tell(now, Images(ranking, failed), console)
    return captured.get()


@pytest.mark.parametrize("arguments", [["photos/", "--help"], ["--order", "uncertain", "photos/", "--help"]])
def test_what_is_no_command_is_a_folder(arguments: list[str]) -> None:
    told = CliRunner().invoke(app, ["annotate", *arguments])
    assert (told.exit_code, "--order" in told.output) == (0, True)


def test_commands_are_told_of() -> None:
    told = CliRunner().invoke(app, ["annotate", "--help"]).output
    assert all(name in told for name in ("list", "show", "cancel"))


def test_a_folder_gives_its_images_with_their_media(tmp_path: Path) -> None:
    (tmp_path / "june").mkdir()
    for name in ("b.JPG", "june/a.png", "june/notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "media.csv").write_text("image,medium\njune/a,film-1\n")
    assert [(one.name, one.medium) for one in in_folder(tmp_path)] == [("b.JPG", None), ("june/a.png", "film-1")]
    assert [one.name for one in in_folder(tmp_path / "b.JPG")] == ["b.JPG"]
    with pytest.raises(Misconfigured, match="no folder and no image"):
        in_folder(tmp_path / "absent")


def test_only_buckets_that_the_worker_reads_are_taken() -> None:
    assert prefix_of("s3://labelstream-data/default/images/", STORE) == Prefix("data", "default/images/")
    assert prefix_of("s3://labelstream-incoming", STORE) == Prefix("incoming", "")
    with pytest.raises(Misconfigured, match="elsewhere"):
        prefix_of("s3://elsewhere/x", STORE)


async def test_a_prefix_gives_the_images_below_it() -> None:
    blobs = MemoryBlobs()
    for key in ("june/b.png", "june/a.jpg", "june/list.csv", "july/c.png"):
        await blobs.put(key, b"x")
    images = (await listed(blobs, Prefix("incoming", "june/"))).images
    assert [(one.bucket, one.key) for one in images] == [("incoming", "june/a.jpg"), ("incoming", "june/b.png")]
    with pytest.raises(Misconfigured, match="august"):
        await listed(blobs, Prefix("incoming", "august/"))


def test_a_job_is_told_with_what_was_left_out() -> None:
    result = Annotated(total=4, model="m1", predicted=4, published=2, boxes=3, empty=1, repeated=1,
                       skipped={"bus": 2}, failed={"image.damaged": 1}, seconds=2)  # fmt: skip
    ranked = Ranked(place=1, name="ai/0", file="[b].png", score=1.5, boxes=2, unsure=0.45)
    damaged = Failed(file="[c].jpg", rule="image.damaged", reason="it ends early")
    told = printed(Standing(REQUEST.id, REQUEST, "finished", result=result), ranked, failed=(damaged,))
    for words in ("2 annotations published with 3 boxes, 1 without a box", "2 boxes of the class 'bus' skipped",
                  "1 image came to nothing: image.damaged", "1 image of the same content", "1.0 images/s",
                  "  [c].jpg: it ends early (image.damaged)",
                  "[b].png"):  # fmt: skip
        assert words in told


def test_the_pace_says_what_is_left() -> None:
    assert view.pace(Progress(total=100, seconds=10), 20) == "2.0 images/s, 40 s left"
    assert view.pace(Progress(total=100, seconds=10), 100) == "10.0 images/s"
    assert view.pace(Progress(total=100), 0) == ""


def test_the_same_wish_is_the_same_job_whoever_asks_and_when() -> None:
    assert REQUEST.model_copy(update={"asked_ms": 7, "source": "elsewhere"}).id == REQUEST.id
    for change in ({"confidence": 0.5}, {"order": "name"}, {"again": "1"}, {"serving": "m2"}, {"model": "m1"}):
        assert REQUEST.model_copy(update=change).id != REQUEST.id


def test_a_ranking_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="absent"):
        view.write_ranking([], tmp_path / "absent" / "first.csv")
