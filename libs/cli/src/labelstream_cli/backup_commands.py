"""labelstream backup and restore."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from labelstream.errors import Rejected
from labelstream.protection.age_keys import check_recipient
from labelstream_cli.backup import book, checking, making, restoring, secrets, view
from labelstream_cli.backup.objects import PARTS
from labelstream_cli.backup.place import begun_here, reached, refuse_other_secrets, refuse_services, servers_up, told
from labelstream_cli.backup.retention import parse
from labelstream_cli.backup.streams import Wanted
from labelstream_cli.backup.target import absolute, files_at
from labelstream_cli.reaching import Url, bars, one_at_a_time
from labelstream_cli.running import ERRORS, Directory, Json, failed, run
from labelstream_local.layout import DEFAULT, Layout

_MAKE = "make"

Place = Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix.", metavar="PLACE")]
At = Annotated[str | None, typer.Option("--snapshot", help="Its name, as `labelstream backup list` tells it.")]
Retention = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STREAM=SIZE,AGE",
        help="How much the broker keeps of a stream, such as annotations=20GB,30d; again for more.",
    ),
]


class _OrMake(TyperGroup):
    """`labelstream backup PLACE` means `labelstream backup make PLACE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the word that people leave out."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [_MAKE, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=_OrMake, no_args_is_help=True, rich_markup_mode="markdown", help=_HELP)
    group.command(_MAKE)(_make)
    group.command("verify")(_verify)
    group.command("list")(_list)
    group.command("secrets")(_secrets)
    app.add_typer(group, name="backup")
    app.command("restore")(_restore)


_HELP = """Back up streams and objects, as files that replay; list backups, and look whether one is whole.

`labelstream backup PLACE` makes a backup: the streams as files that replay, and every object of the store that can't
be made again. A later one to the same place adds what is new. Nothing has to stop for it.
"""


def _make(  # noqa: PLR0913  typer makes an option of each
    *,
    place: Place,
    without: Annotated[
        list[str] | None, typer.Option(help=f"Leave this out; again for more. One of: {', '.join(PARTS)}.")
    ] = None,
    publisher: Annotated[
        list[str] | None,
        typer.Option(
            help="The publisher name of a producer of yours, whose repeats are to stay repeats; again for more."
        ),
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option(help="An input stream of which nothing was answered yet; again for more.")
    ] = None,
    retention: Retention = None,
    with_secrets: Annotated[
        str | None, typer.Option(metavar="AGE-RECIPIENT", help="Add the stack's secrets, sealed to this public key.")
    ] = None,
    secrets_dir: Annotated[
        Path | None, typer.Option(help="Where the secrets lie; default: those of the stack in --dir.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Then remove all but the newest N snapshots, and the files that only those named."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added, and write nothing.")] = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a backup, or add what is new to one. Interrupted, the same command goes on.

    A place in S3 is told by `LABELSTREAM_BACKUP_STORE__ENDPOINT_URL`, `…__ACCESS_KEY` and `…__SECRET_KEY_FILE`. With
    --url, the stack's own store is told by `LABELSTREAM_STORE__…`.

    Examples:
    - `labelstream backup /mnt/backup`
    - `labelstream backup s3://backups/labelstream --publisher my-platform --keep 336 --json`
    - `labelstream backup /mnt/backup --dry-run`
    - `labelstream backup /mnt/backup --with-secrets age1…`
    """
    unknown = set(without or ()) - set(PARTS)
    if unknown:
        raise typer.BadParameter(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if with_secrets is not None:
        _check_key(with_secrets)
    wanted = _wanted(retention, tuple(stream or ()), tuple(publisher or ()))
    order = making.Order(place, wanted, tuple(sorted(set(without or ()))), with_secrets, keep)

    async def plan_it() -> making.Plan:
        async with reached(told(directory, url)) as stack, files_at(place) as files:
            with bars(quiet=as_json) as tell:
                return await making.plan(order, stack, files, tell)

    async def make_it() -> making.Made:
        where = told(directory, url, secrets_dir)
        with one_at_a_time(where.broker, f"making a backup to {absolute(place)}"), bars(quiet=as_json) as tell:
            async with reached(where) as stack, files_at(place) as files:
                return await making.make(order, stack, files, tell)

    console = Console(highlight=False)
    if dry_run:
        plan = run(plan_it())
        typer.echo(json.dumps(view.plan_json(plan))) if as_json else view.show_plan(plan, console)
        return
    made = run(make_it())
    typer.echo(json.dumps(view.made_json(made))) if as_json else view.show_made(made, console)


def _verify(*, place: Place, snapshot: At = None, as_json: Json = False) -> None:
    """Read a whole backup, and compare every digest. Exit code 1: it is damaged.

    Examples:
    - `labelstream backup verify /mnt/backup`
    - `labelstream backup verify s3://backups/labelstream --json | jq .problems`
    """

    async def check() -> checking.Checked:
        async with files_at(place) as files:
            with bars(quiet=as_json) as tell:
                return await checking.check(files, await book.chosen(files, place, snapshot), tell)

    found = run(check())
    if as_json:
        typer.echo(json.dumps(view.checked_json(found)))
    else:
        view.show_checked(found, Console(highlight=False))
    if found.problems:
        raise typer.Exit(1)


def _list(*, place: Place, as_json: Json = False) -> None:
    """List the snapshots of a backup, the oldest first.

    Examples:
    - `labelstream backup list /mnt/backup`
    """

    async def every() -> list[book.Snapshot]:
        async with files_at(place) as files:
            await book.chosen(files, place, None)
            return [await book.read(files, name) for name in await book.names(files)]

    found = run(every())
    if as_json:
        typer.echo(json.dumps({"snapshots": [view.snapshot_json(one) for one in found]}))
    else:
        view.show_list(found, Console(highlight=False))


def _secrets(
    *,
    place: Place,
    identity: Annotated[Path, typer.Option(help="The file of the age private key that opens them.")],
    into: Annotated[Path, typer.Option(help="The folder for them, such as .labelstream/secrets.")],
    snapshot: At = None,
) -> None:
    """Take the secrets out of a backup, before the stack is started that is to have them.

    Examples:
    - `labelstream backup secrets /mnt/backup --identity operator.age-identity --into .labelstream/secrets`
    """

    async def unpack() -> list[str]:
        async with files_at(place) as files:
            return await secrets.unpack(files, await book.chosen(files, place, snapshot), identity, into)

    typer.echo(f"{len(run(unpack()))} secrets are in {into}.")


def _restore(  # noqa: PLR0913  typer makes an option of each
    *,
    place: Place,
    snapshot: At = None,
    only: Annotated[
        str | None,
        typer.Option(help="`streams` when only the broker was lost, `objects` when only the store was lost."),
    ] = None,
    retention: Retention = None,
    identity: Annotated[
        Path | None,
        typer.Option(help="Take the secrets out of the backup: the file of the age private key that opens them."),
    ] = None,
    other_secrets: Annotated[
        bool,
        typer.Option(
            "--other-secrets", help="Go on with other secrets than the stack had; new ones where there are none."
        ),
    ] = False,
    skip_check: Annotated[
        bool, typer.Option("--skip-check", help="Check each file when it is read, and not all of them before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be restored, and write nothing.")] = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty stack, with the same offsets, datasets and models.

    Interrupted, the same command goes on, with the snapshot that it began with.

    No service may run meanwhile. The stack in --dir is started without services for it, and stopped afterwards:
    `labelstream up` starts all of it, with the class schemas and settings that it had. Its secrets have to be there, or
    in the backup. With --url, the store is told by `LABELSTREAM_STORE__…`.

    Examples:
    - `labelstream restore /mnt/backup --identity operator.age-identity && labelstream up`
    - `labelstream restore s3://backups/labelstream --dry-run`
    - `labelstream restore /mnt/backup --snapshot 2026-01-31T03-00-00.000Z --url rabbitmq-stream://operator:…@broker`
    """
    _only(only)
    if (identity or other_secrets) and url:
        raise typer.BadParameter(
            "--identity and --other-secrets are for the stack in --dir: see `labelstream backup secrets`"
        )
    wanted = _wanted(retention, (), ())

    async def ordered() -> restoring.Order:
        async with files_at(place) as files:
            begun = None if url else begun_here(directory, absolute(place))
            begun = begun if begun in await book.names(files) else None
            chosen = await book.chosen(files, place, snapshot or begun)
        more = [word for one in retention or () for word in ("--retention", one)]
        more += ["--identity", str(identity.resolve())] if identity else []
        more += ["--other-secrets"] if other_secrets else []
        more += [] if url else ["--dir", str(directory.resolve())]
        return restoring.Order(
            absolute(place), chosen, _only(only), wanted, skip_check, newest=snapshot is None, more=tuple(more)
        )

    async def restore_it(order: restoring.Order, note: Callable[[str], None]) -> restoring.Restored:
        async with reached(told(directory, url)) as stack, files_at(place) as files:
            with bars(quiet=as_json) as tell:
                return await restoring.restore(order, stack, files, tell, note)

    def say(line: str) -> None:
        if not as_json:
            ERRORS.print(line, style="dim")

    order = run(ordered())
    if dry_run:
        typer.echo(json.dumps(view.order_json(order))) if as_json else view.show_order(order, Console(highlight=False))
        return
    if url is None:
        refuse_services(directory)
        if identity is not None:
            folder = Layout.at(directory).secrets
            taken, sealed_by = run(_take_secrets(order, identity, folder)), order.snapshot.secrets_from
            say(f"{len(taken)} secrets are in {folder}, as {sealed_by or order.snapshot.name} sealed them.")
        if not other_secrets:
            refuse_other_secrets(directory, order.snapshot, unsealed=identity is not None)
        with servers_up(directory, order.snapshot, order.command, say) as note:
            _show_restored(run(restore_it(order, note)), as_json=as_json)
    else:
        _show_restored(run(restore_it(order, lambda _: None)), as_json=as_json)


async def _take_secrets(order: restoring.Order, identity: Path, into: Path) -> list[str]:
    async with files_at(order.where) as files:
        return await secrets.unpack(files, order.snapshot, identity, into)


def _show_restored(restored: restoring.Restored, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view.restored_json(restored)))
    else:
        view.show_restored(restored, Console(highlight=False))


def _wanted(retention: list[str] | None, streams: tuple[str, ...], publishers: tuple[str, ...]) -> Wanted:
    try:
        return Wanted(streams, publishers, parse(retention or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--retention") from error


_PARTS: dict[str, restoring.Only] = {"streams": "streams", "objects": "objects"}


def _only(text: str | None) -> restoring.Only | None:
    if text is not None and text not in _PARTS:
        raise typer.BadParameter("it is `streams` or `objects`", param_hint="--only")
    return None if text is None else _PARTS[text]


def _check_key(recipient: str) -> None:
    try:
        check_recipient(recipient)
    except Rejected as error:
        raise failed(error) from error
