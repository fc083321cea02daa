"""Two models side by side, as one HTML page that needs nothing from outside."""

from __future__ import annotations

from rich.filesize import decimal

from labelstream.protection.grants import to_the_minute
from labelstream_cli.models.comparison import Comparison
from labelstream_cli.models.formats_view import figures
from labelstream_cli.models.pictures import Shots
from labelstream_datasets.pages import render
from labelstream_datasets.pages.words import signed


def page(found: Comparison, shots: Shots) -> str:
    """Return the page."""
    weight, head, text = verdict(found)
    return render(
        "labelstream_cli.models",
        "compare.html",
        it=found,
        weight=weight,
        head=head,
        text=text,
        shots=shots,
        groups=list(dict.fromkeys(change.group for change in found.changes)),
        moment=to_the_minute,
        decimal=decimal,
        figures=figures,
    )


def verdict(found: Comparison) -> tuple[str, str, str]:
    """Say which of the two is better: how grave that is, in a word, and in a sentence."""
    main = next(each for each in found.figures if each.name == "mAP50-95")
    paired = next((each for each in found.figures if each.difference_interval is not None), None)
    said = f"mAP50-95 {signed(main.difference)} from A to B; {found.note}."
    if not found.same_images:
        return "look", "not comparable", said
    if paired is not None and paired.difference_interval is not None:
        interval = paired.difference_interval
        said += (
            f" mAP50 {signed(paired.difference)}, with 95 % confidence {signed(interval.low)} … {signed(interval.high)}"
        )
        if not paired.is_clear:
            return "look", "no clear difference", f"{said}: that may be chance."
        said += ": more than chance."
    elif not main.is_clear:
        said += " How sure that is was not measured."
    better = (main.difference or 0) > 0
    return ("good", "B is better", said) if better else ("look", "B is not better", said)
