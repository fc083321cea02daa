"""How backups are told, to people and to machines."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from labelstream_cli.backup.book import Snapshot
from labelstream_cli.backup.checking import Checked
from labelstream_cli.backup.making import Made, Plan
from labelstream_cli.backup.objects import PARTS
from labelstream_cli.backup.restoring import Order, Restored

_SHOWN = 20


def show_plan(plan: Plan, console: Console) -> None:
    """Print what a backup would add."""
    for stream, (first, last) in plan.streams.items():
        new = f"offsets {first} to {last}" if last >= first else "nothing new"
        console.print(f"  {stream}: {new}", markup=False, highlight=False)
    console.print(f"  objects: {plan.objects:,} ({decimal(plan.object_bytes)})", highlight=False)
    for name in plan.superseded:
        console.print(f"  {name} would be removed", markup=False, highlight=False)
    console.print("Nothing was written, this was a dry run.")


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return what a backup would add."""
    streams = {stream: {"first_new": first, "last": last} for stream, (first, last) in plan.streams.items()}
    new = {"streams": streams, "objects": plan.objects, "object_bytes": plan.object_bytes}
    return {"dry_run": True, **new, "superseded": list(plan.superseded)}


def show_made(made: Made, console: Console) -> None:
    """Print what a backup added, and what it does not hold."""
    console.print(_streams_table(made.snapshot))
    added = f"{made.messages:,} messages ({decimal(made.stream_bytes)} in {made.segments} files)"
    copied = f"{made.copied.objects:,} objects ({decimal(made.copied.size_bytes)} that were not there yet)"
    first = "the first backup to this place, " if made.is_first else ""
    console.print(f"{made.snapshot.name}: {first}added {added} and {copied}.", style="green", highlight=False)
    if made.pruned.snapshots:
        removed = f"{len(made.pruned.snapshots)} older snapshots and {made.pruned.files:,} files that only they named"
        console.print(f"  removed {removed} ({decimal(made.pruned.size_bytes)})", highlight=False)
    for told in notes(made.snapshot, made.gone):
        console.print(f"  {told}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def notes(snapshot: Snapshot, gone: tuple[str, ...] = ()) -> list[str]:
    """Say what somebody who relies on this backup has to know."""
    said = [f"without {part}: {PARTS[part].loses}" for part in snapshot.without]
    if snapshot.secrets is None:
        said.append(
            "The stack's secrets are not in it. Without the exporter's vault identity its models can't be opened, "
            "and without its signing key no device takes another: keep them elsewhere, or use --with-secrets."
        )
    if snapshot.secrets_from is not None:
        said.append(f"Its secrets are those that {snapshot.secrets_from} sealed, without what changed since.")
    said += [f"{stream} is not there any more: what was backed up of it before stays" for stream in gone]
    for stream in snapshot.streams:
        said += [f"{stream.stream}: retention removed offsets {one.first} to {one.last}" for one in stream.torn]
        if not stream.limits.known:
            said.append(
                f"{stream.stream}: the broker keeps only a part of it and does not say how much; tell it with "
                f"--retention {stream.stream}=SIZE,AGE, else the restore will ask"
            )
    return said


def made_json(made: Made) -> dict[str, Any]:
    """Return what a backup added."""
    return {
        **snapshot_json(made.snapshot),
        "is_first": made.is_first,
        "added": {
            "messages": made.messages,
            "segments": made.segments,
            "segment_bytes": made.stream_bytes,
            "objects": made.copied.objects,
            "object_bytes": made.copied.size_bytes,
        },
        "removed": {
            "snapshots": list(made.pruned.snapshots),
            "files": made.pruned.files,
            "size_bytes": made.pruned.size_bytes,
        },
        "notes": notes(made.snapshot, made.gone),
    }


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a snapshot holds."""
    streams = {
        one.stream: {"first": one.first, "end": one.end, "messages": one.messages, "publishers": len(one.publishers)}
        for one in snapshot.streams
    }
    return {
        "snapshot": snapshot.name,
        "taken_ms": snapshot.taken_ms,
        "labelstream": snapshot.labelstream,
        "projects": list(snapshot.projects),
        "streams": streams,
        "objects": snapshot.objects.count,
        "object_bytes": snapshot.objects.total_bytes,
        "without": list(snapshot.without),
        "secrets": snapshot.secrets is not None,
        "secrets_from": snapshot.secrets_from,
    }


def show_list(snapshots: list[Snapshot], console: Console) -> None:
    """Print a line for each snapshot."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("snapshot", "messages", "objects", "size", "without", "secrets"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("messages", "objects", "size") else "left")
    for one in snapshots:
        messages = sum(stream.messages for stream in one.streams)
        size = one.objects.total_bytes + sum(s.size_bytes for stream in one.streams for s in stream.segments)
        held = "sealed" if one.secrets else "no"
        table.add_row(
            one.name, f"{messages:,}", f"{one.objects.count:,}", decimal(size), ", ".join(one.without) or "-", held
        )
    console.print(table)


def show_checked(found: Checked, console: Console) -> None:
    """Print what a check found."""
    for problem in found.problems[:_SHOWN]:
        console.print(f"  {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(found.problems) > _SHOWN:
        console.print(f"  … and {len(found.problems) - _SHOWN} more; --json names all", style="red")
    for gap in found.gaps:
        console.print(f"  removed by retention before it was backed up: {gap}", style="yellow", markup=False)
    read = f"{found.messages:,} messages in {found.segments} files, {found.contents:,} contents"
    said = "is damaged" if found.problems else "is whole"
    style = "red" if found.problems else "green"
    console.print(f"{found.snapshot} {said}: {read} ({decimal(found.size_bytes)}) were read.", style=style)


def checked_json(found: Checked) -> dict[str, Any]:
    """Return what a check found."""
    return {
        "snapshot": found.snapshot,
        "whole": not found.problems,
        "problems": found.problems,
        "gaps": found.gaps,
        "messages": found.messages,
        "segments": found.segments,
        "contents": found.contents,
        "size_bytes": found.size_bytes,
    }


def show_order(order: Order, console: Console) -> None:
    """Print what a restore would do."""
    console.print(_streams_table(order.snapshot))
    if order.with_objects:
        held = order.snapshot.objects
        console.print(f"  objects: {held.count:,} ({decimal(held.total_bytes)})", highlight=False)
    for told in notes(order.snapshot):
        console.print(f"  {told}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print("Nothing was restored, this was a dry run.")


def order_json(order: Order) -> dict[str, Any]:
    """Return what a restore would do."""
    return {"dry_run": True, **snapshot_json(order.snapshot), "only": order.only, "notes": notes(order.snapshot)}


def show_restored(restored: Restored, console: Console) -> None:
    """Print what was restored."""
    rate = f"in {restored.took_s:.0f} s" + (", going on with what was begun" if restored.went_on else "")
    told = f"{restored.messages:,} messages and {restored.objects:,} objects ({decimal(restored.object_bytes)} put)"
    console.print(f"{restored.snapshot.name}: restored {told} {rate}.", style="green", highlight=False)
    console.print("Every message was read back and stands where it stood.", highlight=False)


def restored_json(restored: Restored) -> dict[str, Any]:
    """Return what was restored."""
    return {
        **snapshot_json(restored.snapshot),
        "restored": {"messages": restored.messages, "objects": restored.objects, "put_bytes": restored.object_bytes},
        "went_on": restored.went_on,
        "took_s": round(restored.took_s, 3),
    }


def _streams_table(snapshot: Snapshot) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("stream", "first", "last", "messages", "size"):
        table.add_column(name, no_wrap=True, justify="left" if name == "stream" else "right")
    for one in snapshot.streams:
        first = "-" if one.first is None else str(one.first)
        last = "-" if one.end < 0 else str(one.end)
        size = decimal(sum(segment.size_bytes for segment in one.segments))
        table.add_row(one.stream, first, last, f"{one.messages:,}", size)
    return table
