"""How `labelstream erase` tells what goes, what went, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labelstream.events.annotation import AnnotationErased
from labelstream.events.batch import Rewritten
from labelstream.view import ToErase
from labelstream_cli.erase.asking import Request
from labelstream_cli.erase.holders import Holders

_SHOWN = 10  # of a long list

BEYOND = (
    "the messages themselves, in the stream {stream} and in parked.annotation-ingest, until retention removes them",
    "the file that a producer put into the incoming bucket, unless somebody removes it there",
    "names and digests (no pixels, no boxes of a served image) in our own streams and in the datasets' manifests",
    "the weights of the models that were trained on it, and the test images sealed inside their bundles",
    "reports of trainings that were saved, or mirrored to MLflow, before the erasure",
    "trainings and exports that run now: checkpoints, and datasets on the disks of workers",
    "backups, and whatever was copied elsewhere",
)


@dataclass(frozen=True)
class Erased:
    """What became of a request."""

    request: Request
    concerned: ToErase
    holders: Holders
    receipts: Sequence[AnnotationErased] = ()  # none: it was looked at only
    rewritten: Sequence[Rewritten] = ()

    @property
    def unknown(self) -> list[str]:
        """The names that no annotation has."""
        return sorted(set(self.request.names) - set(self.concerned.names))

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        done = bool(self.receipts)
        receipts = self.receipts
        return {
            "project": self.request.project,
            "medium": self.request.medium,
            "erased": done,
            "names": [n for one in receipts for n in one.names] if done else list(self.concerned.names),
            "unknown_names": self.unknown,
            "images": [i for one in receipts for i in one.images]
            if done
            else [i.sha256 for i in self.concerned.images],
            "kept_images": [i for one in receipts for i in one.kept_images]
            if done
            else [i.sha256 for i in self.concerned.kept],
            "receipts": [one.input.model_dump() for one in receipts],
            "rewritten_archives": [one.model_dump() for one in self.rewritten],
            **self.holders.as_json(),
            "beyond_reach": beyond(self.request.stream),
        }


def beyond(stream: str) -> list[str]:
    """Say what an erasure can't reach."""
    return [line.format(stream=stream) for line in BEYOND]


def tell_concerned(erased: Erased, echo: Callable[[str], None]) -> None:
    """Print what would go, and what was made from it."""
    concerned = erased.concerned
    of = f" of the medium {erased.request.medium!r}" if erased.request.medium is not None else ""
    echo(f"{count(len(concerned.names), 'annotation')}{of} in the project {erased.request.project}:")
    _tell_list(concerned.names, echo)
    echo(f"{count(len(concerned.images), 'image')} will be removed, with all variants")
    if concerned.kept:
        echo(f"{count(len(concerned.kept), 'image')} will stay, without these labels: others show the same")
    if erased.unknown:
        echo(f"{count(len(erased.unknown), 'name')} not known:")
        _tell_list(erased.unknown, echo)
    tell_holders(erased.holders, echo)


def tell_erased(erased: Erased, echo: Callable[[str], None]) -> None:
    """Print what went."""
    said = erased.as_json()
    echo(f"erased: {count(len(said['names']), 'annotation')}, {count(len(said['images']), 'original image')} removed")
    echo(f"{count(len(erased.rewritten), 'archive')} rewritten without them")


def tell_holders(holders: Holders, echo: Callable[[str], None]) -> None:
    """Print the datasets and models that were made from it."""
    _tell_part("held by", len(holders.datasets), "dataset", ", which can't be trained on again as they are", echo)
    _tell_list([f"{one.id}  cut at {one.cut}, {count(one.images, 'image')} of it" for one in holders.datasets], echo)
    states = [f"{one.job}  {one.state}, on dataset {one.dataset[:12]}…" for one in holders.trainings]
    if holders.datasets:
        _tell_part("", len(holders.trainings), "training", " on them", echo)
    _tell_list(states, echo)
    _tell_part("made from it:", len(holders.models), "model", ", which stay as they are", echo)
    _tell_list([f"{one.id}  {_standing(one.in_service, one.withdrawn)}" for one in holders.models], echo)
    if holders.unreadable:
        echo(f"{count(len(holders.unreadable), 'dataset')} could not be looked into:")
        _tell_list(holders.unreadable, echo)


def tell_beyond(stream: str, echo: Callable[[str], None]) -> None:
    """Print what no erasure reaches."""
    echo("Erasing can't reach:")
    for line in beyond(stream):
        echo(f"  - {line}")


def count(number: int, noun: str) -> str:
    """Return such as `no model`, `1 image`, `3 datasets`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _tell_part(lead: str, number: int, noun: str, rest: str, echo: Callable[[str], None]) -> None:
    """Print the line above a list; where the list is empty, only that it is."""
    line = f"{lead} {count(number, noun)}".strip()
    echo(f"{line}{rest}:" if number else line)


def _standing(in_service: bool, withdrawn: bool) -> str:
    return "in service" if in_service else "withdrawn" if withdrawn else "not in service"


def _tell_list(lines: Sequence[str], echo: Callable[[str], None]) -> None:
    for line in lines[:_SHOWN]:
        echo(f"  {line}")
    if len(lines) > _SHOWN:
        echo(f"  … and {len(lines) - _SHOWN} more; --json names all")
