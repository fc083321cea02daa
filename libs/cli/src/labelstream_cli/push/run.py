"""One push: alone on its stream, with its notes and its bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rstream.exceptions import StreamDoesNotExist

from labelstream.errors import Misconfigured, Unavailable
from labelstream.producer import Producer, TimedOut
from labelstream.service.settings import BrokerSettings
from labelstream_cli.push.publishing import PATIENCE_S, Kind, Pushed, Told, follow_receipts, publish
from labelstream_cli.push.report import Plan
from labelstream_cli.push.state import PushState, StreamNotes, state_root
from labelstream_cli.reaching import broker_at, one_at_a_time
from labelstream_cli.running import ERRORS, INTERRUPTED, CommandFailed, run

NAME = "labelstream-push"


def run_push(plan: Plan, *, restart: bool, wait: bool, quiet: bool) -> Pushed:
    """Send what is planned. Exits with what went wrong, or as interrupted."""
    try:
        return run(_work(plan, restart=restart, wait=wait, quiet=quiet))
    except typer.Exit as ending:
        if ending.exit_code == INTERRUPTED:
            ERRORS.print("The same command goes on where it stopped.")
        raise


async def _work(plan: Plan, *, restart: bool, wait: bool, quiet: bool) -> Pushed:
    target, broker = plan.target, plan.target.broker
    if broker is None:
        raise Misconfigured("there is no broker to send to: `labelstream up` starts one, --url names another")
    with one_at_a_time(broker, f"pushing to {target.stream}"):
        notes = StreamNotes.of(state_root(), broker.host, broker.stream_port, broker.vhost, target.stream)
        last_id = await _last_id(broker, target.stream)
        if notes.check(last_id):
            ERRORS.print("The stream was made anew since the last push: everything is sent.", style="yellow")
        state = PushState.open(notes.directory, plan.source, restart=restart)
        connected = Producer.connect(
            broker,
            target.stream,
            NAME,
            receipts=wait,
            incoming=target.incoming,
            inline=not target.by_reference,
            timeout_s=PATIENCE_S,
        )
        async with connected as producer:
            with _bars(plan, wait=wait, quiet=quiet) as show:

                def told(kind: Kind, count: int) -> None:
                    show(kind, count)
                    if kind == "confirmed" and count:
                        notes.reached(last_id + count)

                try:
                    pushed = await publish(producer, plan.images, told, plan.manner, state)
                except TimedOut as error:
                    raise CommandFailed(f"{error}. The same command goes on where this one stopped.") from error
                if wait:
                    await follow_receipts(producer, pushed, told)
                    state.forget(one.name for one in pushed.refused)
    return pushed


async def _last_id(broker: BrokerSettings, stream: str) -> int:
    """Return our last publishing id on a stream; 0 where there is no such stream. Raises CommandFailed at once."""
    async with broker_at(broker, NAME) as asked:
        try:
            return await asked.last_publishing_id(stream, NAME)
        except Unavailable as error:
            if isinstance(error.__cause__, StreamDoesNotExist):
                return 0  # the producer says so, once it is sure
            where = f"{broker.host}:{broker.stream_port}"
            raise CommandFailed(f"the broker at {where} does not answer ({error.reason}); nothing was sent") from error


@contextmanager
def _bars(plan: Plan, *, wait: bool, quiet: bool) -> Iterator[Told]:
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    counts: Counter[str] = Counter()
    with Progress(*columns, console=ERRORS, disable=quiet) as progress:
        kinds = ("sent", "confirmed", *(("receipts",) if wait else ()))
        tasks = {kind: progress.add_task(kind, total=len(plan.images)) for kind in kinds}

        def told(kind: Kind, count: int) -> None:
            counts[kind] = count
            before = counts["earlier"]
            for one, task in tasks.items():
                if one == "receipts":
                    progress.update(task, completed=counts[one], total=counts["sent"], visible=counts["sent"] > 0)
                else:
                    done = counts[one] + before
                    progress.update(task, completed=done, total=max(len(plan.images), done))

        yield told
