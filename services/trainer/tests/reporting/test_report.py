from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from labelstream_yolo.scoring import values
from labelstream_yolo.scoring.values import SliceScore
from trainer.engine.contract import Recovery
from trainer.reporting import write_report

VOID = {"meta", "img", "br"}
EVIL = ("<script>alert(1)</script>", 'a|b `x` *c* "><img src=x onerror=alert(1)>', "{{ it.job }} & {% raw %}")


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID | {"td", "th", "tr"}:  # the ends of cells and rows may be left out
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"td", "th", "tr"}:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(content, folder: Path) -> Page:
    return Page(write_report(content, folder).report.read_text())


def test_the_page_says_everything_that_matters(contents, tmp_path: Path) -> None:
    before = contents.evaluation(contents.names, (0.7, 0.95, 0.6))
    slices = [SliceScore.model_validate({"by": "size", "name": "small"} | contents.figures(0.3))]
    ours = contents.evaluation(contents.names, (0.8, 0.9, 0.6), slices=slices)
    tested = values.Tested(model=ours, champion=contents.comparison(before, 0.017, (0.004, 0.03)))
    recovery = Recovery(epoch=2, rule="out-of-memory", reason="the GPU was full", batch=8, learning_rate_scale=0.5)
    page = page_of(contents(tested=tested, recoveries=[recovery]), tmp_path)
    assert "0.767" in page.text  # the mean of 0.8, 0.9 and 0.6
    assert "0.737 … 0.797" in page.text
    assert "better by more than chance" in page.text
    assert "Classes that fell" in page.text
    assert "−0.050" in page.text  # truck
    assert "out-of-memory after 2 epochs: the GPU was full; from then on batch 8, learning rate × 0.5" in page.text
    assert "best epoch 4" in page.text
    assert "5 min 25 s" in page.text
    assert "2026-03-04 15:06 UTC" in page.text
    assert "small" in page.text
    assert all(name in page.text for name in contents.names)
    assert page.open == []


def test_the_page_needs_nothing_from_outside(contents, tmp_path: Path) -> None:
    page = page_of(contents(), tmp_path)
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in {"src", "href"}]
    assert addresses
    assert {address[:5] for address in addresses if address and address[0] != "#"} == {"data:"}
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {address[1:] for address in addresses if address and address[0] == "#"} <= ids
    html = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", html)


def test_foreign_text_stays_text(contents, tmp_path: Path) -> None:
    before = contents.evaluation(EVIL, (0.9, 0.95, 0.99))
    slices = [SliceScore.model_validate({"by": "source", "name": EVIL[1]} | contents.figures(0.3))]
    mixed = [[5, 2, 0, 0], [0, 9, 1, 0], [0, 0, 9, 0], [0, 1, 0, 0]]
    ours = contents.evaluation(EVIL, (0.8, 0.9, 0.6), slices=slices, counts=mixed)
    tested = values.Tested(model=ours, champion=contents.comparison(before, -0.1, (-0.2, -0.05)))
    recovery = Recovery(epoch=1, rule="engine-died", reason=EVIL[0])
    page = page_of(contents(names=EVIL, tested=tested, warnings=EVIL, recoveries=[recovery]), tmp_path)
    plain = page_of(contents(tested=tested.model_copy(update={"model": ours})), tmp_path / "again")
    assert len(page.of("script")) == len(plain.of("script")) == 1
    assert len(page.of("img")) == len(plain.of("img"))
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.text.count(EVIL[0]) >= 4
    assert EVIL[2] in page.text
    assert page.open == []


def test_equal_contents_make_equal_files(contents, tmp_path: Path) -> None:
    first = write_report(contents(), tmp_path / "first")
    second = write_report(contents(), tmp_path / "second")
    assert first.report.read_bytes() == second.report.read_bytes()
    assert first.card.read_bytes() == second.card.read_bytes()


@pytest.mark.parametrize(("champion", "epochs"), [(False, 1), (True, 1), (False, 300)])
def test_a_report_is_small_with_many_classes_and_images(contents, tmp_path: Path, champion: bool, epochs: int) -> None:
    names = [f"class {number}" for number in range(120)]
    maps = [None if number == 7 else (number % 10) / 10 + 0.05 for number in range(120)]
    ours = contents.evaluation(names, maps)
    tested = values.Tested(model=ours, champion=contents.comparison(ours, 0.0, None) if champion else None)
    page = page_of(contents(names=names, tested=tested, epochs=epochs, pictures=60), tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert len(page.of("img")) == 24
    assert "No test image shows one class" in page.text
    assert "class 119" in page.text
    assert "60 best of 120 classes" in page.text


def test_without_images_slices_and_history_there_is_still_a_report(contents, tmp_path: Path) -> None:
    content = contents(pictures=0, epochs=1)
    bare = content.result.model_copy(update={"history": ()})
    page = page_of(type(content)(**vars(content) | {"result": bare}), tmp_path)
    assert "There is no image to show" in page.text
    assert "Slices" not in page.text


def test_writing_a_report_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, trainer.reporting; sys.exit(str([m for m in ('torch', 'ultralytics') if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
