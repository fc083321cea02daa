"""What a person should know of a dataset before training on it, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from labelstream.values import Split
from labelstream_datasets.statistics.model import ClassFigures, Finding, Statistics

FEW_IMAGES = 100  # training images of a class; below it detectors hardly learn one
FEW_TEST = 10  # test images of a class; below it one image more or less moves its figure by 10 %
DOMINANT = 0.3  # of the images from one source
IMBALANCE = 50  # times as many boxes of the most common class as of the rarest
LOST_BOXES = 0.15  # of what the originals have, in a variant
TINY = 0.1  # of the boxes
EMPTY = 0.5  # of the images
OFF_SHARE = 0.1  # between the share of images that a split was to have and what it has
_NAMED = 5
_JUDGED: tuple[Split, ...] = ("test", "val")
_WHAT_FOR: dict[Split, str] = {
    "train": "to learn from",
    "test": "to be judged by",
    "val": "to choose a model by",
}


def of(figures: Statistics) -> tuple[Finding, ...]:
    """Return what is to be said, most important first."""
    rules: Sequence[Callable[[Statistics], Iterator[Finding]]] = (_untested, _leaks, _few, _lone, _shares, _tiny, _rest)
    found = [finding for rule in rules for finding in rule(figures)]
    return tuple(sorted(found, key=lambda finding: finding.weight != "bad"))  # else in the order of the rules


def _untested(figures: Statistics) -> Iterator[Finding]:
    if not figures.total("images"):
        yield Finding(weight="bad", rule="dataset.empty", text="The dataset holds no image.")
        return
    empty = [split for split, held in figures.splits.items() if not held.images]
    if empty:
        yield Finding(weight="bad", rule="split.empty", text=f"{_listed(empty)} {_holds(empty)} no image at all.")
    shown = [one for one in figures.classes if one.images]
    for split, what in _WHAT_FOR.items():
        if split in empty:
            continue
        lacking = [one.name for one in shown if not one.count(split).images]
        if lacking:
            text = f"{_listed(lacking)} {_has(lacking)} no {split} image {what}."
            yield Finding(weight="look" if split == "val" else "bad", rule=f"class.without_{split}", text=text)
    scarce = [f"{one.name} ({one.count('test').images})" for one in shown if 0 < one.count("test").images < FEW_TEST]
    if scarce:
        text = f"Fewer than {FEW_TEST} test images show {_listed(scarce)}: their test figures will be mostly chance."
        yield Finding(weight="look", rule="class.few_test", text=text)


def _leaks(figures: Statistics) -> Iterator[Finding]:
    near = figures.duplicates
    if near.across:
        touched = [_count(near.touched[split], f"{split} image") for split in _JUDGED if near.touched.get(split)]
        text = (
            f"{_count(near.across, 'pair')} of images in different splits {'looks' if near.across == 1 else 'look'} "
            f"alike (at most {near.most_bits} of 64 bits apart), {' and '.join(touched)} among them: figures on those "
            "say less than they seem to."
        )
        yield Finding(weight="bad", rule="duplicates.across", text=text)
    if near.without_hash:
        text = f"{_count(near.without_hash, 'image')} could not be compared: their archives are older than the hashes."
        yield Finding(weight="look", rule="duplicates.unknown", text=text)
    if near.crowds:
        worst = sum(near.crowds[0].images.values())
        text = (
            f"{worst} images share one look ({near.crowds[0].example.name} is one of them): flat images, or a camera "
            "before which nothing moves."
        )
        yield Finding(weight="look", rule="duplicates.crowd", text=text)


def _few(figures: Statistics) -> Iterator[Finding]:
    few = [one for one in figures.classes if 0 < one.count("train").images < FEW_IMAGES]
    if few:
        named = [f"{one.name} ({one.count('train').images})" for one in sorted(few, key=_trained)]
        text = f"Fewer than {FEW_IMAGES} training images show {_listed(named)}."
        yield Finding(weight="look", rule="class.few", text=text)
    never = [one.name for one in figures.classes if not one.images]
    if never and figures.total("boxes"):
        text = f"No image shows {_listed(never)}: a model of this dataset will never find {_them(never)}."
        yield Finding(weight="look", rule="class.never", text=text)
    boxes = sorted((one.boxes, one.name) for one in figures.classes if one.boxes)
    if len(boxes) > 1 and boxes[-1][0] > IMBALANCE * boxes[0][0]:
        (least, rare), (most, common) = boxes[0], boxes[-1]
        text = f"{common} has {round(most / least)} times as many boxes as {rare} ({most:,} and {least:,})."
        yield Finding(weight="look", rule="class.imbalance", text=text)


def _lone(figures: Statistics) -> Iterator[Finding]:
    images, sources = figures.total("images"), figures.sources
    if sources.media > 1 and sources.top[0].images > DOMINANT * images:
        top = sources.top[0]
        text = f"{top.images / images:.0%} of the images come from one source, {top.medium} ({top.split})."
        yield Finding(weight="look", rule="source.dominates", text=text)
    single = [one.name for one in figures.classes if one.media == 1 and one.images > 1]
    if single:
        text = f"All images of {_listed(single)} come from a single source each."
        yield Finding(weight="look", rule="class.one_source", text=text)


def _shares(figures: Statistics) -> Iterator[Finding]:
    off = [
        f"{split} {held.got_images:.0%} (asked: {held.asked:.0%})"
        for split, held in figures.splits.items()
        if held.images and abs(held.got_images - held.asked) > OFF_SHARE
    ]
    if off:
        text = f"The splits' shares of the images are not those of the options: {_listed(off)}. {_why_off(figures)}"
        yield Finding(weight="look", rule="split.shares", text=text)


def _why_off(figures: Statistics) -> str:
    images = figures.total("images")
    if figures.published:
        return (
            f"{figures.published:,} of {_count(images, 'image')} "
            f"{'has' if figures.published == 1 else 'have'} a published split: the ratios apply to "
            f"{images - figures.published:,}."
        )
    if figures.sources.alike:
        return f"Among {_count(figures.sources.media, 'source')} chance decides much."
    return "Each source is in one split as a whole, and they differ in size."


def _tiny(figures: Statistics) -> Iterator[Finding]:
    boxes, all_boxes = figures.boxes, figures.total("boxes")
    if boxes.tiny > TINY * all_boxes:
        text = (
            f"{boxes.tiny / all_boxes:.0%} of the boxes have a side below {boxes.tiny_px} pixels when images are "
            f"{boxes.train_side} pixels wide: train larger, or cut images into tiles."
        )
        yield Finding(weight="look", rule="boxes.tiny", text=text)


def _rest(figures: Statistics) -> Iterator[Finding]:
    if figures.missing:
        text = f"{_count(figures.missing, 'image')} could not be augmented, and so the dataset goes without."
        yield Finding(weight="look", rule="dataset.missing", text=text)
    if figures.erased:
        are = "image of the dataset was" if figures.erased == 1 else "images of the dataset were"
        text = (
            f"{figures.erased:,} {are} erased since: counted among images and samples, but boxes and classes are "
            "those of the others."
        )
        yield Finding(weight="look", rule="images.erased", text=text)
    yield from _boxless(figures)
    losing = [one for one in figures.variants if one.of and one.boxes < (1 - LOST_BOXES) * one.of]
    if losing:
        worst = min(losing, key=lambda one: one.boxes / one.of)
        text = f"Augmenting loses many boxes: variant {worst.variant} keeps {worst.boxes / worst.of:.0%} of them."
        yield Finding(weight="look", rule="variants.lose_boxes", text=text)


def _boxless(figures: Statistics) -> Iterator[Finding]:
    images, without = figures.total("images") - figures.erased, figures.total("without_boxes")
    if images > 0 and without == images:
        text = "No image of the dataset has a box: a model can learn nothing from it."
        yield Finding(weight="bad", rule="dataset.no_box", text=text)
        return
    if images > 0 and without > EMPTY * images:
        text = f"{without / images:.0%} of the images have no box."
        yield Finding(weight="look", rule="images.empty", text=text)
    if figures.emptied:
        have = "image has" if figures.emptied == 1 else "images have"
        text = f"{figures.emptied:,} {have} no box left in the chosen classes and sizes: --drop-empty leaves them out."
        yield Finding(weight="look", rule="images.emptied", text=text)


def _trained(one: ClassFigures) -> tuple[int, int]:
    return one.count("train").images, one.id


def _listed(words: Sequence[str]) -> str:
    """Join words as a sentence does; many are cut short."""
    if len(words) > _NAMED:
        return f"{', '.join(words[:_NAMED])} and {len(words) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _has(words: Sequence[str]) -> str:
    return "has" if len(words) == 1 else "have"


def _holds(words: Sequence[str]) -> str:
    return "holds" if len(words) == 1 else "hold"


def _them(words: Sequence[str]) -> str:
    return "it" if len(words) == 1 else "them"
