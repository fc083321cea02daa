"""How the `labelstream parked` commands look on a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream_cli.parked.peeking import Peeked, plain
from labelstream_cli.parked.reading import Kept, State, at
from labelstream_cli.parked.replaying import Replayed

_STYLE: Mapping[State, str] = {"parked": "yellow", "replayed": "green", "dropped": "dim"}


def show_list(messages: Sequence[Kept], total: int, console: Console) -> None:
    """Print messages as a table; `total` are meant."""
    if not messages:
        console.print("No such message is parked.")
        return
    table = Table("position", "time", "state", "rule", "name and reason", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[:4]:
        column.no_wrap = True
    table.columns[3].min_width = max(len(one.rule) for one in messages)
    table.columns[4].ratio = 1
    for one in messages:
        state = f"[{_STYLE[one.state]}]{one.state}[/]"
        time = f"{at(one.parked_ms):%m-%d %H:%M:%S}"
        told = "\n".join(part for part in (escape(names(one)), f"[dim]{escape(one.reason)}[/]") if part)
        table.add_row(str(one.offset), time, state, escape(one.rule), told)
    console.print(table)
    if total > len(messages):
        console.print(f"{len(messages)} of {total}: --limit 0 shows all", style="dim", highlight=False)


def show_summary(counts: Mapping[str, Counter[State]], console: Console) -> None:
    """Print how many messages broke which rule."""
    if not counts:
        console.print("No such message is parked.")
        return
    table = Table("rule", box=None, padding=(0, 2, 0, 0))
    for state in _STYLE:
        table.add_column(state, justify="right")
    for rule, states in counts.items():
        table.add_row(escape(rule), *(str(states[state]) for state in _STYLE))
    console.print(table, highlight=False)


def show_one(one: Kept, peeked: Peeked, console: Console) -> None:
    """Print everything about one message: no pixels, no e-mail address."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    for label, value in _facts(one, peeked):
        table.add_row(label, escape(value))
    console.print(table, highlight=False)
    if peeked.problem:
        console.print(f"can't be read further: {peeked.problem}", style="yellow", highlight=False, markup=False)
    if peeked.body is not None:
        console.print("body", style="dim")
        console.print(json.dumps(peeked.told, indent=2, ensure_ascii=False), markup=False, highlight=False)


def _facts(one: Kept, peeked: Peeked) -> list[tuple[str, str]]:
    facts = [
        ("position", str(one.offset)),
        ("state", one.state),
        ("parked", f"{at(one.parked_ms):%Y-%m-%d %H:%M:%S %Z}"),
        ("rule", one.rule),
        ("reason", one.reason),
        ("hint", one.hint or "not kept"),
        ("came in", f"{one.input.stream} at {one.input.offset}, {one.size_bytes} bytes"),
    ]
    if one.origin != one.input:
        facts.append(("replays", f"the message that came in at {one.origin.offset}"))
    if one.names:
        facts.append(("name", names(one)))
    message = peeked.message
    if message is not None:
        created = "" if message.created_ms is None else at(message.created_ms).isoformat()
        facts += [
            ("message id", plain_text(message.message_id)),
            ("type", plain_text(message.subject)),
            ("content type", plain_text(message.content_type)),
            ("created", created),
        ]
        facts += [(f"  {plain_text(key)}", plain_text(value)) for key, value in message.properties.items()]
    return [(label, value) for label, value in facts if value]


def show_replayed(replayed: Sequence[Replayed], console: Console, *, waited: bool) -> None:
    """Print what became of each replay."""
    table = Table("position", "name", "outcome", "", box=None, padding=(0, 2, 0, 0))
    table.columns[-1].ratio = 1
    for one in replayed:
        place = str(one.kept.offset)
        if one.problem is not None:
            table.add_row(place, escape(names(one.kept)), "[red]not published[/]", escape(one.problem))
        elif not waited:
            table.add_row(place, escape(names(one.kept)), "published", f"to {one.kept.input.stream}")
        elif not one.became:
            table.add_row(place, escape(names(one.kept)), "?", "settled, but no receipt says that it is its replay")
        for became in one.became:
            style = "red" if became.outcome == "rejected" else "yellow" if became.outcome == "superseded" else "green"
            why = f"{became.rule}: {became.reason}\n{became.hint}" if became.rule else ""
            name = became.name or names(one.kept)
            table.add_row(place, escape(name), f"[{style}]{became.outcome}[/]", escape(why))
    console.print(table, highlight=False)


def names(one: Kept) -> str:
    """Return the names that a message is about, in a line."""
    return ", ".join(one.names) + (f" … and {one.more_names} more" if one.more_names else "")


def plain_text(value: object) -> str:
    """Return a message's value in a line, without an e-mail address."""
    told = plain(value)
    return "" if told is None else str(told)
