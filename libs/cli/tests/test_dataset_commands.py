"""What the commands about datasets print, and what they refuse before they reach anything."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from labelstream.errors import Misconfigured
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.values import Position
from labelstream_cli.datasets.check_view import show_verdict
from labelstream_cli.datasets.compare_view import show_difference
from labelstream_cli.datasets.options import splits_of
from labelstream_cli.datasets.words import count, option_in_words, options_in_words, size, some
from labelstream_cli.main import app
from labelstream_datasets.checking.diff import ChangedImage, ClassCount, Difference
from labelstream_datasets.checking.verify import Finding, Lost, Verdict
from labelstream_datasets.options import DatasetOptions

COMMANDS = ("build", "list", "show", "diff", "stats", "pull", "export", "verify", "forget")
CUT = Position(stream=ANNOTATION_EVENTS, offset=40)


def typed(*arguments: str, **variables: str) -> Any:
    return CliRunner().invoke(app, ["dataset", *arguments], env={"COLUMNS": "100", "LABELSTREAM_URL": "", **variables})


def image(name: str, before: Any, after: Any) -> ChangedImage:
    return ChangedImage(image="a" * 64, name=name, medium="film", before=before, after=after)


def difference(**fields: Any) -> Difference:
    empty: dict[str, Any] = {
        "old": "a" * 64, "new": "b" * 64, "old_cut": CUT, "new_cut": CUT, "options": {}, "added": (), "removed": (),
        "relabelled": (), "moved": (), "revaried": 0, "same": 3, "classes": (),
    }  # fmt: skip
    return Difference(**{**empty, **fields})


def told(found: Difference, *, names: bool = False) -> str:
    out = io.StringIO()
    show_difference(found, Console(file=out, width=100, highlight=False), names=names)
    return out.getvalue()


def test_an_image_under_another_name_is_called_that_and_both_names_are_listed() -> None:
    one = image("new", "train", "train").model_copy(update={"name_before": "old"})
    assert "same labels, other name" in told(difference(renamed=(one,)))
    assert "old → new" in told(difference(renamed=(one,)), names=True)


def verdict(*findings: Finding) -> Verdict:
    return Verdict(
        id="a" * 64, rebuilt_id="a" * 64, deep=False, samples=9, archives=2, archive_bytes=4100, rewritten=0,
        findings=findings,
    )  # fmt: skip


def judged(found: Verdict, *, names: bool = False) -> str:
    out = io.StringIO()
    show_verdict(found, Console(file=out, width=100, highlight=False), names=names)
    return out.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples(command: str) -> None:
    result = typed(command, "--help")
    assert result.exit_code == 0
    assert f"labelstream dataset {command}" in result.output


@pytest.mark.parametrize(
    "command", [("build",), ("list",), ("show", "abcd"), ("verify", "abcd")], ids=lambda one: one[0]
)
def test_where_no_stack_is_up_it_is_said_how_to_start_one(command: tuple[str, ...], tmp_path: Path) -> None:
    result = typed(*command, "--dir", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "`labelstream up` starts one" in result.output
    assert "--url" in result.output


def test_another_broker_needs_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT_URL", "ACCESS_KEY", "SECRET_KEY", "SECRET_KEY_FILE"):
        monkeypatch.delenv(f"LABELSTREAM_STORE__{name}", raising=False)
    result = typed("list", "--url", "rabbitmq-stream://me:secret@127.0.0.1:1/vhost")
    assert result.exit_code == 1
    assert "LABELSTREAM_STORE__ENDPOINT_URL" in result.output
    assert "secret@" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "--merge", "van"), "OLD=NEW"),
        (("build", "--merge", "van=car", "--merge", "van=truck"), "both"),
        (("build", "--ratios", "a/b/c"), "70/20/10"),
        (("build", "--splits", "no/such/place"), "neither train.txt"),
        (("pull", "abcd", "somewhere", "--splits", "train,tests"), "'tests'"),
        (("export", "abcd", "--format", "pdf", "--out", "somewhere"), "coco"),
    ],
    ids=["merge", "merge twice", "ratios", "lists", "splits", "format"],
)
def test_what_can_not_be_is_refused_at_once(arguments: tuple[str, ...], said: str) -> None:
    result = typed(*arguments)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())


def test_a_target_that_is_taken_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = typed("export", "abcd", "--format", "coco", "--out", str(tmp_path), "--dir", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "exists already" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("export", "abcd", "--format", "yolo", "--out", "{}/out.tar"), "a folder or a .zip, not a .tar"),
        (("export", "abcd", "--format", "yolo", "--out", "{}/file/out"), "file is a file, not a directory"),
        (("pull", "abcd", "{}/file/inside"), "file is a file, not a directory"),
        (("pull", "abcd", "{}/file"), "file is a file, not a directory"),
        (("stats", "abcd", "--out", "{}/none/page.html"), "there is no directory"),
        (("stats", "abcd", "--out", "{}"), "is a directory"),
    ],
    ids=["tar", "export below a file", "pull below a file", "pull over a file", "stats nowhere", "stats over a folder"],
)
def test_a_target_that_can_not_be_written_is_refused_before_anything_is_fetched(
    command: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    result = typed(*(one.replace("{}", str(tmp_path)) for one in command), "--dir", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_splits_are_read_in_their_order() -> None:
    assert splits_of("test, train") == ("train", "test")
    assert splits_of(None) == ("train", "val", "test")
    with pytest.raises(Misconfigured, match="dev"):
        splits_of("dev")


def test_an_image_that_moved_with_the_same_options_is_said_loudly() -> None:
    text = told(difference(moved=(image("n1", "train", "test"),)))
    assert "LEAK" in text
    assert "1 image moved" in text


def test_images_that_moved_with_other_ratios_are_no_leak() -> None:
    ratios = {"train": 0.7, "val": 0.2, "test": 0.1}, {"train": 0.5, "val": 0.25, "test": 0.25}
    text = told(difference(moved=(image("n1", "train", "test"),), options={"ratios": ratios}))
    assert "LEAK" not in text
    assert "split 70/20/10" in text
    assert "split 50/25/25" in text


def test_names_are_listed_when_they_are_asked_for() -> None:
    changed = difference(added=tuple(image(f"n{n}", None, "val") for n in range(9)))
    assert "n8" not in told(changed)
    assert "6 more" in told(changed)
    assert "added n8 val" in told(changed, names=True)


def test_classes_and_recipes_are_compared() -> None:
    text = told(
        difference(
            classes=(ClassCount(split="train", name="[car]", before=1200, after=1150),),
            options={"recipe": ("c" * 64, "d" * 64), "class_names": (["car", "van"], ["car"])},
        )
    )
    for part in ("[car]", "1,200", "1,150", "-50", "c" * 12, "d" * 12, "van"):
        assert part in text


def test_what_was_erased_is_named_with_what_to_do() -> None:
    lost = tuple(Lost(image="a" * 64, name=f"n{n}") for n in range(10))
    finding = Finding(kind="erased", where="key", reason="10 of its images were erased", images=lost)
    text = judged(verdict(finding))
    assert "n0" in text
    assert "n9" not in text
    assert "labelstream dataset build" in text
    assert "n9" in judged(verdict(finding), names=True)


def test_what_was_erased_and_is_still_stored_is_not_said_to_be_gone() -> None:
    gone = Finding(kind="erased", where="key", reason="1 of its images was erased")
    stored = Finding(kind="erased", where="annotation-events", reason="1 was erased", still_stored=True)
    assert "can't be laid out" not in judged(verdict(stored))
    assert "still lays it out" in judged(verdict(stored))
    assert "can't be laid out" in judged(verdict(gone, stored))


def test_a_sound_dataset_is_said_to_be() -> None:
    text = judged(verdict())
    assert "the same id" in text
    assert "2 archives (4.1 kB) looked up" in text
    assert "Everything is as it was." in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (DatasetOptions(), ""),
        (DatasetOptions(ratios="70/15/15"), "split 70/15/15"),
        (DatasetOptions(validated_only=False, drop_empty=True), "unvalidated too, without images that have no box"),
        (DatasetOptions(classes=("car",), merge={"van": "car"}), "only car, van as car"),
        (DatasetOptions(most_per_source=3), "at most 3 images of a source"),
    ],
    ids=["defaults", "ratios", "unvalidated", "classes", "cap"],
)
def test_options_are_told_in_words(options: DatasetOptions, words: str) -> None:
    assert options_in_words(options) == words


def test_numbers_and_sizes_are_told_in_words() -> None:
    assert [count(1, "image"), count(2, "box"), count(1200, "file"), count(2, "query")] == [
        "1 image", "2 boxes", "1,200 files", "2 queries",
    ]  # fmt: skip
    assert [size(12), size(30_500), size(6_604_800), size(3e13)] == ["12 bytes", "30.5 kB", "6.6 MB", "30.0 TB"]
    assert some(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert option_in_words("classes", None) == "all classes"
