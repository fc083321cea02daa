"""labelstream parked: what annotation-ingest refused, and bringing it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from labelstream.parked import INGEST, Parked
from labelstream.streams.ports import Broker
from labelstream_cli.parked.awaiting import Awaited
from labelstream_cli.parked.peeking import Peeked, peek, plain
from labelstream_cli.parked.reading import Kept, Wanted, bytes_of, chosen, kept, listing, since_ms
from labelstream_cli.parked.replaying import Replayed, mark, replay
from labelstream_cli.parked.view import show_list, show_one, show_replayed, show_summary
from labelstream_cli.reaching import Tell, Url, with_broker
from labelstream_cli.running import CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT

_NAME = "labelstream parked"
_DOING = f"writing {INGEST}"

Positions = Annotated[list[int] | None, typer.Argument(help="Positions, as `labelstream parked list` shows them.")]
Rule = Annotated[str | None, typer.Option(help="Only what broke this rule, such as class.unknown.")]
Stream = Annotated[str | None, typer.Option(help="Only what came in on this stream.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Messages that were refused: look at them, replay or drop them.")
    group.command("list")(_list)
    group.command("show")(_show)
    group.command("replay")(_replay)
    group.command("drop")(_drop)
    app.add_typer(group, name="parked")


def _wanted(positions: list[int] | None, rule: str | None, *, everything: bool = False, ways: str) -> Wanted:
    """Read what is meant: positions, a rule, or everything; exactly one of these `ways`."""
    if sum((bool(positions), rule is not None, everything)) != 1:
        raise typer.BadParameter(f"say which messages: {ways}")
    return Wanted(rule=rule, offsets=frozenset(positions) if positions else None)


async def _meant(broker: Broker, wanted: Wanted, tell: Tell) -> list[Kept]:
    """Return what is meant: at the positions whatever was done about it, otherwise what nothing was done about."""
    if wanted.offsets is not None:
        return await chosen(broker, wanted.offsets, tell)
    return [one for one in await kept(broker, wanted, tell) if one.state == "parked"]


def _message(peeked: Peeked) -> dict[str, Any]:
    """Return a message for machines: no pixels, no e-mail address."""
    message = peeked.message
    if message is None:
        return {"message": None, "problem": peeked.problem}
    told = {
        "message_id": plain(message.message_id),
        "type": plain(message.subject),
        "content_type": plain(message.content_type),
        "created_ms": message.created_ms,
        "properties": plain(message.properties),
        "body": peeked.told,
    }
    return {"message": told, "problem": peeked.problem}


def _write(path: Path, data: bytes, *, quiet: bool) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise failed(f"{path} can't be written: {error.strerror}") from error
    if not quiet:
        typer.echo(f"{len(data)} bytes written to {path}")


def _since(text: str | None) -> int | None:
    try:
        return None if text is None else since_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither like 30m, 2h or 3d nor a date such as 2026-03-01") from error


def _list(
    rule: Rule = None,
    stream: Stream = None,
    since: Annotated[str | None, typer.Option(help="Parked since then: 30m, 2h, 3d, or a date.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many, the newest; 0 shows all.")] = 20,
    summary: Annotated[bool, typer.Option("--summary", help="Count by rule instead.")] = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List refused messages, the newest first.

    Examples:
    - `labelstream parked list --since 2h`
    - `labelstream parked list --rule class.unknown --limit 0`
    - `labelstream parked list --summary`
    """
    wanted = Wanted(rule, stream, _since(since))
    most = limit or None
    found = with_broker(_NAME, lambda broker, tell: listing(broker, wanted, most, tell), directory, url, quiet=as_json)
    if as_json:
        messages = {} if summary else {"messages": [one.as_json() for one in found.newest]}
        typer.echo(json.dumps({"total": found.total, "rules": found.rules, **messages}))
    elif summary:
        show_summary(found.rules, Console())
    else:
        show_list(found.newest, found.total, Console())


def _show(
    position: Annotated[int, typer.Argument(help="As `labelstream parked list` shows it.")],
    save: Annotated[Path | None, typer.Option(help="Write the message's bytes to this file.")] = None,
    image: Annotated[Path | None, typer.Option(help="Write the image that it brings to this file.")] = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show everything about one refused message.

    Pixels and e-mail addresses are not shown; --save writes the bytes as they came, with everything in them.

    Examples:
    - `labelstream parked show 41`
    - `labelstream parked show 41 --image refused.jpg`
    """

    async def work(broker: Broker, tell: Tell) -> tuple[Kept, Parked]:
        (one,) = await chosen(broker, [position], tell)
        async for parked in bytes_of(broker, [position], tell):
            return one, parked
        raise CommandFailed(f"the message at {position} is gone meanwhile")

    one, parked = with_broker(_NAME, work, directory, url, quiet=as_json)
    peeked = peek(parked.raw)
    if as_json:
        typer.echo(json.dumps({**one.as_json(), **_message(peeked)}))
    else:
        show_one(one, peeked, Console())
    if save is not None:
        _write(save, parked.raw, quiet=as_json)
    if image is not None and peeked.image is None:
        raise failed("the message brings no image that could be found in it")
    if image is not None and peeked.image is not None:
        _write(image, peeked.image, quiet=as_json)


def _replay(
    positions: Positions = None,
    rule: Rule = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are neither replayed nor dropped.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be published.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow until each has its receipt.")] = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Publish refused messages again, when what they lacked is there: a class, an image, a right.

    A replay applies only if nothing newer was settled for its annotation since; else it is superseded. So it is
    safe to repeat. --rule and --all leave out what was replayed or dropped before.

    Examples:
    - `labelstream parked replay 41 57 --wait`
    - `labelstream parked replay --rule class.unknown --dry-run`
    """
    wanted = _wanted(positions, rule, everything=everything, ways="positions, or --rule, or --all")

    async def work(broker: Broker, tell: Tell) -> tuple[list[Kept], list[Replayed]]:
        found = await _meant(broker, wanted, tell)
        if dry_run or not found:
            return found, []
        awaited = await Awaited.of(broker, {one.input.stream for one in found})
        replayed = await replay(broker, found, tell)
        if wait:
            await awaited.follow(replayed, tell)
        return found, replayed

    found, replayed = with_broker(_NAME, work, directory, url, quiet=as_json, alone=_DOING)
    if as_json:
        shown = [one.as_json() for one in (found if dry_run else replayed)]
        typer.echo(json.dumps({"dry_run": dry_run, "waited": wait, "messages": shown}))
    elif dry_run or not found:
        show_list(found, len(found), Console())
    else:
        show_replayed(replayed, Console(), waited=wait)
        if not wait:
            typer.echo("`--wait` would have shown what became of them; `labelstream trace NAME` does.")
    if any(one.failed for one in replayed):
        raise typer.Exit(2)


def _drop(
    positions: Positions = None,
    rule: Rule = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Mark refused messages as done with: `replay --rule` and `--all` leave them out from now on.

    The mark does not remove their bytes: those go with the parked stream's age and size.

    Examples:
    - `labelstream parked drop 41`
    - `labelstream parked drop --rule image.undecodable --yes`
    """
    wanted = _wanted(positions, rule, ways="positions, or --rule")
    found = with_broker(_NAME, lambda broker, tell: _meant(broker, wanted, tell), directory, url, quiet=as_json)
    if not as_json:
        show_list(found, len(found), Console())
    if found and not yes:
        typer.confirm(f"Drop {len(found)}? Their bytes stay until the stream's age takes them", abort=True)

    async def work(broker: Broker, _tell: Tell) -> None:
        if found:
            await mark(broker, "dropped", found)

    with_broker(_NAME, work, directory, url, quiet=True, alone=_DOING)
    if as_json:
        typer.echo(json.dumps({"dropped": [one.offset for one in found]}))
    elif found:
        typer.echo(f"{len(found)} dropped; their bytes go with the parked stream's age.")
