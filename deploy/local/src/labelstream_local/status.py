"""What a stack is doing: its services, its streams, who lags behind, and the dataset and model of the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rstream.exceptions import StreamDoesNotExist

from labelstream.annotating import stream_of
from labelstream.errors import Misconfigured, Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.figures import Figures, ReaderLag, Scrapes, figures_of
from labelstream_local.reports import Report
from labelstream_local.rights import input_stream
from labelstream_local.scrapes import scrape_all
from labelstream_local.services import SERVERS
from labelstream_local.stack import Stack
from labelstream_local.supervisor import ProcessState

OWN_STREAMS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS)
RATES_OVER_S = 1.0


@dataclass(frozen=True)
class Program:
    """A server or a service: what its supervisor says, and what it says of itself."""

    name: str
    state: str  # as supervisord calls it: RUNNING, BACKOFF…; DOWN: there is no supervisor; empty: it runs elsewhere
    pid: int | None = None
    up_s: int | None = None
    url: str | None = None
    ready: bool | None = None  # None when it does not answer
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A stream; `last_offset` is None when it is empty, or when `problem` says why nobody knows."""

    name: str
    last_offset: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Lag:
    """How far a service is behind the end of a stream that it reads."""

    service: str
    stream: str
    offset: int | None  # the last that it handled; None when it handled none
    behind: int | None  # at most so many messages (offsets may have gaps); None when the stream's end is not known
    seconds: float | None = None  # since the oldest of them was stored; None when the service does not say


@dataclass(frozen=True)
class Progress:
    """How far the augmenter is with a project."""

    project: str
    answered_up_to: int | None  # offset of annotation-events; None: no batch since it started
    batches_in_flight: int
    behind: int | None  # at most so many events; None when that is not known


@dataclass(frozen=True)
class Status:
    """Everything that `labelstream status` shows."""

    directory: str
    running: bool
    programs: tuple[Program, ...]
    streams: tuple[Stream, ...]
    lags: tuple[Lag, ...]
    dataset: Any  # the trainer's fact
    model: Any  # the fact of inference
    progress: tuple[Progress, ...] = ()  # none when the augmenter does not answer
    next_training: Any = None  # project → what its next training waits for: the trainer's fact
    trainings: Any = None  # the trainings under way: the trainer's fact
    figures: Figures | None = None  # rates, queues, answers, drift, as the services measure them

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self)


async def status_of(stack: Stack) -> Status:
    """Ask the supervisor, each service (twice, for its rates) and the broker; what is down is said, never raised."""
    processes = stack.supervisor.processes()
    addresses = addresses_of(stack)
    before = await asyncio.to_thread(scrape_all, addresses)
    inputs = (stream for project in stack.record.projects for stream in (input_stream(project), stream_of(project)))
    names = (*inputs, *OWN_STREAMS)
    streams = await _streams(stack.broker, names) if stack.rabbitmq.ready() else _unknown(names)
    now = await _after(before, addresses)
    reports, figures = _reports(now), figures_of(now, before)
    return Status(
        directory=str(stack.layout.root),
        running=any(process.state == "RUNNING" for process in processes.values()),
        programs=tuple(_programs(stack, processes, reports, addresses)),
        streams=streams,
        lags=tuple(lags_of(reports, streams, figures.lags)),
        dataset=_fact(reports, "trainer", "dataset"),
        model=_fact(reports, "inference", "model"),
        progress=tuple(progress_of(reports, streams, stack.record.projects)),
        next_training=_fact(reports, "trainer", "next_training"),
        trainings=_fact(reports, "trainer", "trainings"),
        figures=figures,
    )


def addresses_of(stack: Stack) -> dict[str, str]:
    """Return where each service of a stack answers.

    A container that Docker knows no address of is asked nowhere: another one may have the address that it had.
    """
    moved, inside = stack.supervisor.addresses(), stack.record.elsewhere
    return {
        name: moved.get(name) or stack.context.url(name) if moved and name in inside else stack.url(name)
        for name in stack.services
    }


async def status_at(addresses: Mapping[str, str]) -> Status:
    """Ask services that run elsewhere, by their addresses; nothing is known of their processes and streams."""
    before = await asyncio.to_thread(scrape_all, addresses)
    now = await _after(before, addresses)
    return status_from(addresses, now, figures_of(now, before))


def servers_of(stack: Stack) -> dict[str, bool]:
    """Say of each server of a stack whether it answers."""
    needed = dict(zip(SERVERS, (stack.rabbitmq.ready(), stack.seaweedfs.answers()), strict=True))
    return needed | {name: stack.answers(name) for name in stack.record.on_request}


def status_from(
    addresses: Mapping[str, str], now: Scrapes, figures: Figures, servers: Mapping[str, bool] | None = None
) -> Status:
    """Return what services said at their addresses; and whether the `servers` answer, where they can be asked."""
    reports, told = _reports(now), _by_program(now)
    asked = (Program(name, "", ready=True if answers else None) for name, answers in (servers or {}).items())
    services = (Program(name, "", url=addresses[name], **_told(report)) for name, report in reports.items())
    return Status(
        directory="",
        running=any(report is not None for report in reports.values()),
        programs=(*asked, *services),
        streams=(),
        lags=tuple(lags_of(reports, (), figures.lags)),
        dataset=_fact(told, "trainer", "dataset"),
        model=_fact(told, "inference", "model"),
        next_training=_fact(told, "trainer", "next_training"),
        trainings=_fact(told, "trainer", "trainings"),
        figures=figures,
    )


async def _after(before: Scrapes, addresses: Mapping[str, str]) -> Scrapes:
    """Ask the services once more, a moment later."""
    answered = [scrape.at for scrape in before.values() if scrape.report is not None]
    if answered:
        await asyncio.sleep(max(0.0, max(answered) + RATES_OVER_S - time.monotonic()))
    return await asyncio.to_thread(scrape_all, addresses)


def _reports(scrapes: Scrapes) -> dict[str, Report | None]:
    return {name: scrape.report for name, scrape in scrapes.items()}


def _by_program(scrapes: Scrapes) -> dict[str, Report | None]:
    """Return what each kind of program says; of several replicas the first that answers counts."""
    found: dict[str, Report | None] = {}
    for name, scrape in scrapes.items():
        if scrape.report is not None:
            found.setdefault(scrape.program or name, scrape.report)
    return found


def _programs(
    stack: Stack,
    processes: Mapping[str, ProcessState],
    reports: Mapping[str, Report | None],
    addresses: Mapping[str, str],
) -> Iterable[Program]:
    for name, answers in servers_of(stack).items():
        url = stack.url(name) if name in stack.record.on_request else None
        yield _program(processes.get(name), name, url, Report(answers, {}, {}, {}) if answers else None)
    for name in stack.services:
        yield _program(processes.get(name), name, addresses[name], reports.get(name))


def _program(process: ProcessState | None, name: str, url: str | None, report: Report | None) -> Program:
    state = process.state if process else "DOWN"
    pid = process.pid if process else None
    up_s = round(time.time() - process.started_at) if process and pid else None
    return Program(name, state, pid, up_s, url, **_told(report))


def _told(report: Report | None) -> dict[str, Any]:
    """Return what a program says of itself; nothing when it does not answer."""
    if report is None:
        return {}
    return {"ready": report.ready, "waiting": report.waiting, "degraded": report.degraded}


async def _streams(settings: BrokerSettings, names: Iterable[str]) -> tuple[Stream, ...]:
    broker = RabbitBroker(settings, Health(), "labelstream status")
    try:
        return tuple([await _stream(broker, name) for name in names])
    finally:
        await broker.close()


async def _stream(broker: RabbitBroker, name: str) -> Stream:
    try:
        return Stream(name, await broker.last_offset(name))
    except (Unavailable, Misconfigured) as error:
        absent = isinstance(error.__cause__, StreamDoesNotExist)
        return Stream(name, None, "not created yet" if absent else str(error))


def _unknown(names: Iterable[str]) -> tuple[Stream, ...]:
    return tuple(Stream(name, None, "the broker does not answer") for name in names)


def lags_of(
    reports: Mapping[str, Report | None], streams: Iterable[Stream], measured: Iterable[ReaderLag] = ()
) -> Iterable[Lag]:
    """Return how far each service is behind, for the streams of which it says an offset.

    Where the end of a stream is not known, what the service has `measured` itself counts.
    """
    ends = {stream.name: stream.last_offset for stream in streams}
    own = _furthest(measured)
    for service, report in reports.items():
        for stream, place in (report.facts.get("streams", {}) if report else {}).items():
            offset, end = place.get("offset"), ends.get(stream)
            handled = -1 if offset is None else int(offset)
            said, seconds = own.get((service, stream), (None, None))
            yield Lag(service, stream, offset, said if end is None else max(0, end - handled), seconds)


def _furthest(measured: Iterable[ReaderLag]) -> dict[tuple[str, str], tuple[int, float | None]]:
    """Return how far a service is behind with a stream; of several readers, the last one counts."""
    found: dict[tuple[str, str], tuple[int, float | None]] = {}
    for one in sorted(measured, key=lambda lag: lag.messages):
        found[one.name, one.stream] = (round(one.messages), one.seconds)
    return found


def progress_of(
    reports: Mapping[str, Report | None], streams: Iterable[Stream], projects: Iterable[str]
) -> Iterable[Progress]:
    """Return how far the augmenter is with each project, also with one of which it made nothing yet."""
    report = reports.get("augmenter")
    if report is None:
        return
    end = next((stream.last_offset for stream in streams if stream.name == ANNOTATION_EVENTS), None)
    for project in projects:
        said = report.facts.get(f"progress of {project}", {})
        answered = said.get("answered_up_to")
        behind = None if end is None or answered is None else max(0, end - answered)
        yield Progress(project, answered, said.get("batches_in_flight", 0), behind)


def _fact(reports: Mapping[str, Report | None], service: str, name: str) -> Any:
    report = reports.get(service)
    return report.facts.get(name) if report else None
