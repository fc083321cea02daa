"""What a push is about to send and what it left out, for people, scripts and spreadsheets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream.errors import Misconfigured
from labelstream.values import SPLITS
from labelstream_cli.importers import Imported, Mapped, Problem, UnknownClass
from labelstream_cli.push.publishing import Manner, Pushed
from labelstream_cli.push.target import Target

_MOST_CLASSES = 30  # shown
_MOST_EXAMPLES = 3
_MOST_REFUSED = 10
_COLUMNS = ("name", "kind", "reason")
_UNLABELLED = "--unlabelled: an annotation that is there already under the name of an unlabelled image loses its boxes."


@dataclass(frozen=True)
class Plan:
    """A push before it begins."""

    source: Path
    mapped: Mapped
    manner: Manner
    target: Target
    unlabelled: bool = False  # images that have no labels are sent, too

    @property
    def images(self) -> Sequence[Imported]:
        """What is to be sent."""
        return self.mapped.folder.images

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is left out."""
        return self.mapped.folder.problems

    @property
    def refusal(self) -> str | None:
        """Why this must not be sent; None when nothing is known against it."""
        if self.mapped.unknown:
            return unknown_in_words(self.mapped.unknown, self.target)
        lacking = self.target.lacking(self.mapped.boxes)
        return lacking_in_words(lacking, self.target) if lacking else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody may not expect."""
        return tuple(
            line for line in (self._assumed_empty_in_words(), _UNLABELLED if self.unlabelled else None) if line
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        folder, mapped = self.mapped.folder, self.mapped
        return {
            "source": str(self.source),
            "form": folder.form,
            "images": len(folder),
            "frames": sum(image.frame is not None for image in folder),
            "frames_in_videos": folder.video_frames,
            "media": len({image.medium for image in folder}),
            "without_label_file": self._assumed_empty,
            "validated": sum(self._validated(image) for image in folder),
            "deleted": sum(image.deleted for image in folder),
            "splits": {split: count for split in SPLITS if (count := self._in_split(split))},
            "boxes": sum(mapped.boxes.values()),
            "classes": dict(mapped.boxes),
            "renamed": dict(mapped.renamed),
            "dropped": dict(mapped.dropped),
            "unknown_classes": [asdict(one) for one in mapped.unknown],
            "unused_rules": list(mapped.unused),
            "schema": self.target.schema.name if self.target.schema else None,
            "stream": self.target.stream,
            "warnings": list(self.warnings),
            "left_out": [asdict(problem) for problem in self.problems],
        }

    def show(self, console: Console, *, whole: bool) -> None:
        """Print it: a few lines, or the `whole` with its classes."""
        said = self.as_json()
        console.print(f"[bold]{escape(str(self.source))}[/]: {_count(said['images'], 'image')} ({said['form']})")
        rows = [("images", self._images_in_words(said)), ("media", f"{said['media']:,}"),
                ("boxes", f"{said['boxes']:,} of {_count(len(self.mapped.boxes), 'class', 'classes')}"),
                ("splits", self._splits_in_words(said["splits"])), ("to", self._target_in_words())]  # fmt: skip
        for title, text in rows:
            console.print(f"  {title:8}{escape(text)}", soft_wrap=True)
        if whole and (self.mapped.boxes or self.mapped.dropped):
            console.print(self._classes())
        for rule in self.mapped.unused:
            console.print(f"  [yellow]The class map names {escape(rule)}, which the source does not have.[/]")
        for line in self.warnings:
            console.print(f"  [yellow]{escape(line)}[/]", soft_wrap=True)
        show_problems(console, self.problems)

    @property
    def _assumed_empty(self) -> int:
        return sum(image.assumed_empty for image in self.images)

    def _assumed_empty_in_words(self) -> str | None:
        if not self._assumed_empty:
            return None
        have = "image has" if self._assumed_empty == 1 else "images have"
        sent = "unvalidated" if self.manner.unvalidated else "validated (--unvalidated sends all as unvalidated)"
        return f"{self._assumed_empty:,} {have} no label file: sent as empty, {sent}."

    def _validated(self, image: Imported) -> bool:
        return image.validated and not self.manner.unvalidated

    def _in_split(self, split: str | None) -> int:
        return sum(image.split == split for image in self.images)

    def _images_in_words(self, said: dict[str, Any]) -> str:
        parts = (
            [f"{said['frames']:,} of {_count(said['frames_in_videos'], 'frame')} of videos"] if said["frames"] else []
        )
        parts += [f"{said['validated']:,} validated"] if said["validated"] else []
        waiting = said["images"] - said["validated"] - said["deleted"]
        parts += [f"{waiting:,} not validated (no training takes them before)"] if waiting else []
        parts += [f"{said['deleted']:,} deleted again"] if said["deleted"] else []
        return "; ".join(parts)

    def _splits_in_words(self, splits: dict[str, int]) -> str:
        free = self._in_split(None)
        parts = [f"{split} {count:,}" for split, count in splits.items()]
        return ", ".join([*parts, *([f"{free:,} as Labelstream splits them, by medium"] if free else [])])

    def _target_in_words(self) -> str:
        schema = self.target.schema
        known = f"class schema {schema.name!r} ({self.target.schema_from})" if schema else self.target.schema_from
        return f"stream {self.target.stream}; {known}"

    def _classes(self) -> Table:
        table = Table(box=None, padding=(0, 2), title_justify="left")
        table.add_column("class")
        table.add_column("boxes", justify="right")
        table.add_column("in the source as")
        unknown = {one.name for one in self.mapped.unknown}
        shown = list(self.mapped.boxes.items())[:_MOST_CLASSES]
        for name, boxes in shown:
            before = ", ".join(source for source, target in self.mapped.renamed.items() if target == name)
            style = "red" if name in unknown else ""
            table.add_row(escape(name), f"{boxes:,}", escape(before), style=style)
        for name, boxes in self.mapped.dropped.items():
            table.add_row("dropped", f"{boxes:,}", escape(name), style="dim")
        if len(self.mapped.boxes) > len(shown):
            table.add_row(f"… and {len(self.mapped.boxes) - len(shown)} more; --json names all")
        return table


def unknown_in_words(unknown: Sequence[UnknownClass], target: Target) -> str:
    """Say which classes the project lacks, and what can be done."""
    classes = target.schema.classes if target.schema else ()
    name = target.schema.name if target.schema else ""
    width = max(len(one.name) for one in unknown)
    lines = [
        f"  {one.name:{width}}  {_count(one.boxes, 'box', 'boxes')}"
        + (f"   perhaps {' or '.join(one.close)}?" if one.close else "")
        for one in unknown
    ]
    some = ", ".join(classes[:12]) + (f", … ({len(classes)} in all)" if len(classes) > 12 else "")
    suggestion = unknown[0].close[0] if unknown[0].close else classes[0] if classes else "NAME"
    return "\n".join([
        f"The class schema {name!r} does not have {_count(len(unknown), 'class', 'classes')} of the source; "
        "nothing is sent:",
        *lines,
        f"It has {some}.",
        f"Say what each is called there, or drop its boxes: --map {_quoted(unknown[0].source, suggestion)}, "
        f"--map {_quoted(unknown[0].source, '')}; or all in a file: --class-map FILE.",
    ])  # fmt: skip


def lacking_in_words(lacking: Sequence[str], target: Target) -> str:
    """Say which classes of --schema the stack's own schema lacks, so that it would refuse them."""
    told = target.schema.name if target.schema else ""
    behind = target.schema_behind.name if target.schema_behind else ""
    some = ", ".join(lacking[:12]) + (", …" if len(lacking) > 12 else "")
    return (
        f"--schema says {told!r}, but the stack has {behind!r}, which lacks "
        f"{_count(len(lacking), 'class', 'classes')} of the source; nothing is sent: {some}.\n"
        "Leave --schema out and rename with --map, add them with `labelstream schema add`, or push to a project that "
        "has this schema (`labelstream up --schema`, in a new --dir)."
    )


def show_problems(console: Console, problems: Iterable[Problem], what: str = "Left out") -> None:
    """Print how many problems there are of each kind, with the first ones."""
    problems = list(problems)
    if not problems:
        return
    console.print(f"[yellow]{what}:[/] {len(problems):,}")
    kinds = Counter(problem.kind for problem in problems)
    for kind, count in kinds.most_common():
        console.print(f"  {count:6,}  {kind}")
        for problem in [one for one in problems if one.kind == kind][:_MOST_EXAMPLES]:
            console.print(f"          {escape(str(problem))}", style="dim", soft_wrap=True)
    if any(count > _MOST_EXAMPLES for count in kinds.values()):
        console.print("  --report FILE.csv lists every one.")


def show_pushed(console: Console, pushed: Pushed, *, wait: bool) -> None:
    """Print how a push ended."""
    if pushed.earlier:
        console.print(f"{pushed.earlier:,} were sent before, as they are now (--restart sends them again).")
    console.print(f"{pushed.sent:,} sent, {pushed.confirmed:,} confirmed by the broker.")
    show_problems(console, pushed.unreadable, "Not sent")
    if not pushed.sent:
        return
    if not wait:
        console.print("--wait would have shown the receipts; `labelstream status` shows how far the services are.")
        return
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(pushed.receipts.items()))
    console.print(f"Outcomes: {counts or 'none'}.")
    for one in pushed.refused[:_MOST_REFUSED]:
        console.print(f"  {one.name}: {one.rule}: {one.reason}\n    {one.hint}", markup=False, soft_wrap=True)
    if len(pushed.refused) > _MOST_REFUSED:
        console.print(f"  … and {len(pushed.refused) - _MOST_REFUSED:,} more; --json names all")


def write_report(path: Path, problems: Iterable[Problem], said: dict[str, Any]) -> None:
    """Write what was left out as CSV, or everything as JSON. Raises Misconfigured."""
    try:
        if path.suffix.lower() == ".json":
            path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows((problem.name, problem.kind, problem.reason) for problem in problems)
    except OSError as error:
        raise Misconfigured(f"the report {path} can't be written: {error.strerror}") from error


def check_report(path: Path | None) -> None:
    """Refuse a report that could not be written, before anything is sent. Raises Misconfigured."""
    if path is None:
        return
    if path.suffix.lower() not in (".csv", ".json"):
        raise Misconfigured(f"--report {path}: its name must end in .csv or .json")
    if not path.parent.is_dir():
        raise Misconfigured(f"--report {path}: there is no directory {path.parent}")


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _quoted(source: str, target: str) -> str:
    pair = f"{source}={target}"
    return f'"{pair}"' if " " in pair or "(" in pair else pair
