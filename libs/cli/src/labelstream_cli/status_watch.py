"""`labelstream status --watch`: the figures of all stages, again and again."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from labelstream_cli.figures_view import is_used, lines, looks, progress_table, queues_table, stages_table
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.status_view import facts, next_training
from labelstream_local.figures import Figures, figures_of
from labelstream_local.scrapes import Scrape, scrape_all
from labelstream_local.services import ON_REQUEST, SERVERS
from labelstream_local.status import Status, status_from

RATES_OVER_S = 10.0  # of a shorter time they would jump
LINES_OF_LOOKS, TRAININGS = 4, 4  # the rest would push the figures off a small screen


Servers = Callable[[], Mapping[str, bool]]  # whether broker and store answer; nothing where they can't be asked


def watch(
    addresses: Mapping[str, str], every_s: float, console: Console, servers: Servers = dict, *, as_json: bool = False
) -> None:
    """Show how the services do until Ctrl-C: on a terminal as a screen of its own, else one block after the other."""
    moments = _moments(addresses, servers, every_s)
    try:
        if as_json:
            for status in moments:
                typer.echo(json.dumps(status.as_json(), default=str))
        elif console.is_terminal:
            _live(moments, every_s, console)
        else:
            for status in moments:
                console.print(screen(status, every_s, console.width))
                console.print()
    except KeyboardInterrupt:
        pass  # how a person ends it


def screen(status: Status, every_s: float, width: int) -> RenderableType:
    """Return everything that is watched, as it is now: what matters most stands above, where a low screen shows it."""
    figures = status.figures
    parts: list[RenderableType] = [_title(figures, every_s), *_servers(status)]
    if figures is not None:
        parts += [stages_table(figures.stages, width=width), *_looks(figures, width), ""]
        parts += lines(figures)
    parts += (Text(line) for line in (*facts(status, digits=SHORT), *next_training(status)))
    if status.trainings:
        parts += ["", progress_table(status.trainings[:TRAININGS], width=width)]
    if status.trainings and len(status.trainings) > TRAININGS:
        parts.append(Text(f"and {len(status.trainings) - TRAININGS} more: `labelstream jobs list`"))
    if figures is not None and (used := [*filter(is_used, figures.queues)]):
        parts += ["", queues_table(used)]
    return Group(*parts)


def _servers(status: Status) -> Iterator[Text]:
    """Give a line for broker and store: what they lack, everything else lacks."""
    servers = [one for one in status.programs if one.name in (*SERVERS, *ON_REQUEST)]
    if servers:
        said = (f"{one.name} {'answers' if one.ready else '[red]does not answer[/red]'}" for one in servers)
        yield Text.from_markup(", ".join(said))


def _looks(figures: Figures, width: int) -> Iterator[Text]:
    """Give what needs a look, a line each."""
    said = [Text.from_markup(line) for line in looks(figures)]
    for line in said[:LINES_OF_LOOKS]:
        line.truncate(max(width, 1), overflow="ellipsis")
        yield line
    if len(said) > LINES_OF_LOOKS:
        yield Text(f"and {len(said) - LINES_OF_LOOKS} more: `labelstream status`", "yellow")


def _live(moments: Iterator[Status], every_s: float, console: Console) -> None:
    """Draw on a screen of its own: what stood on the terminal before is there again afterwards."""
    with Live(Text("asking the services …"), console=console, screen=True, auto_refresh=False) as live:
        for status in moments:
            live.update(screen(status, every_s, console.width), refresh=True)


def _moments(addresses: Mapping[str, str], servers: Servers, every_s: float) -> Iterator[Status]:
    """Ask all services every so often; the first moment knows no rates, and comes at once."""
    past: deque[tuple[float, dict[str, Scrape]]] = deque()
    while True:
        began = time.monotonic()
        while len(past) > 1 and began - past[0][0] > RATES_OVER_S:
            past.popleft()
        now = scrape_all(addresses)
        yield status_from(addresses, now, figures_of(now, past[0][1] if past else None), servers())
        past.append((began, now))
        time.sleep(max(0.0, began + every_s - time.monotonic()))


def _title(figures: Figures | None, every_s: float) -> Text:
    now = datetime.now().astimezone()
    answering = sum(stage.ready is not None for stage in figures.stages) if figures else 0
    total = len(figures.stages) if figures else 0
    over = f", rates over {figures.interval_s:.0f} s" if figures and figures.interval_s else ""
    said = f"{now:%H:%M:%S}  {answering} of {total} services answer; every {every_s:g} s{over}; Ctrl-C ends"
    return Text(said, "bold")
