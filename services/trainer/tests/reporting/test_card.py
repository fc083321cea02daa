from __future__ import annotations

from pathlib import Path

from labelstream_yolo.scoring import values
from labelstream_yolo.scoring.values import SliceScore
from trainer.reporting import write_report

EVIL = ("<script>alert(1)</script>", "a|b `x` *c* _d_ [e](http://f)", "two\nlines")


def card_of(content, folder: Path) -> str:
    return write_report(content, folder).card.read_text()


def tables(card: str) -> list[list[str]]:
    """The rows of each table."""
    found: list[list[str]] = [[]]
    for line in card.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_the_card_says_what_the_model_is_for_and_what_it_cannot(contents, tmp_path: Path) -> None:
    before = contents.evaluation(contents.names, (0.7, 0.95, 0.6))
    modes = {"winter": 0.3, "normal": 0.9}
    slices = [SliceScore.model_validate({"by": "mode", "name": n} | contents.figures(v)) for n, v in modes.items()]
    ours = contents.evaluation(contents.names, (0.8, 0.9, 0.6), slices=slices)
    tested = values.Tested(model=ours, champion=contents.comparison(before, 0.017, (-0.004, 0.03)))
    card = card_of(contents(tested=tested, warnings=["only 3 images of truck"]), tmp_path)
    for heading in ("Intended use", "Limits", "Metrics", "Training data", "How it was made", "Licence"):
        assert f"\n## {heading}\n" in card
    assert "car, truck, person" in card
    assert "- only 3 images of truck" in card
    assert "| mAP50 | 0.767 | 0.737 … 0.797 |" in card
    assert "| difference | +0.017 | −0.004 … +0.030 |" in card
    assert "that may be chance" in card
    assert "| mode: winter | 40 | 90 | 0.300 | 0.150 |" in card
    assert "| train | 100 | 800 | 300 | 100 |" in card
    assert "AGPL-3.0" in card
    assert "ultralytics 8.0" in card


def test_the_classes_stand_from_the_best_to_those_without_a_figure(contents, tmp_path: Path) -> None:
    card = card_of(contents(maps=(0.6, None, 0.9)), tmp_path)
    rows = next(table for table in tables(card) if table[0].startswith("| class |"))[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| person", "| car", "| truck"]
    assert rows[-1] == "| truck | 7 | 0 | 0 | – | – | – | – | – |"


def test_foreign_text_breaks_neither_tables_nor_markup(contents, tmp_path: Path) -> None:
    card = card_of(contents(names=EVIL, warnings=["# loud", EVIL[1]]), tmp_path)
    for table in tables(card):
        columns = {line.replace("\\|", "").count("|") for line in table}
        assert len(columns) == 1
    assert "<script" not in card
    assert "&lt;script&gt;" in card
    assert "a\\|b \\`x\\` \\*c\\* \\_d\\_ \\[e\\](http://f)" in card
    assert "| two lines |" in card
    assert "\n- \\# loud\n" in card
