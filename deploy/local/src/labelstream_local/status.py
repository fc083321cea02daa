"""What a stack is doing: its services, its streams, who lags behind, and the dataset and model of the moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from rstream.exceptions import StreamDoesNotExist

from labelstream.annotating import stream_of
from labelstream.errors import Misconfigured, Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.reports import Report, ask
from labelstream_local.services import SERVERS, input_stream
from labelstream_local.stack import Stack
from labelstream_local.supervisor import ProcessState

OWN_STREAMS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS)


@dataclass(frozen=True)
class Program:
    """A server or a service: what its supervisor says, and what it says of itself."""

    name: str
    state: str  # as supervisord calls it: RUNNING, BACKOFF…; DOWN when there is no supervisor
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

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self)


async def status_of(stack: Stack) -> Status:
    """Ask the supervisor, each service and the broker; whatever is down is said, never raised."""
    processes = stack.supervisor.processes()
    reports = _reports(stack)
    inputs = (stream for project in stack.record.projects for stream in (input_stream(project), stream_of(project)))
    names = (*inputs, *OWN_STREAMS)
    streams = await _streams(stack.broker, names) if stack.rabbitmq.ready() else _unknown(names)
    return Status(
        directory=str(stack.layout.root),
        running=bool(processes),
        programs=tuple(_programs(stack, processes, reports)),
        streams=streams,
        lags=tuple(lags_of(reports, streams)),
        dataset=_fact(reports, "trainer", "dataset"),
        model=_fact(reports, "inference", "model"),
        progress=tuple(progress_of(reports, streams, stack.record.projects)),
        next_training=_fact(reports, "trainer", "next_training"),
        trainings=_fact(reports, "trainer", "trainings"),
    )


def _reports(stack: Stack) -> dict[str, Report | None]:
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda name: ask(stack.url(name)), stack.services)
        return dict(zip(stack.services, answers, strict=True))


def _programs(
    stack: Stack, processes: Mapping[str, ProcessState], reports: Mapping[str, Report | None]
) -> Iterable[Program]:
    for name, ready in zip(SERVERS, (stack.rabbitmq.ready(), stack.seaweedfs.answers()), strict=True):
        yield _program(processes.get(name), name, None, Report(ready, {}, {}, {}) if ready else None)
    for name in stack.record.on_request:
        answers = stack.mlflow.ready()
        yield _program(processes.get(name), name, stack.url(name), Report(answers, {}, {}, {}) if answers else None)
    for name in stack.services:
        yield _program(processes.get(name), name, stack.url(name), reports.get(name))


def _program(process: ProcessState | None, name: str, url: str | None, report: Report | None) -> Program:
    state = process.state if process else "DOWN"
    pid = process.pid if process else None
    up_s = round(time.time() - process.started_at) if process and pid else None
    if report is None:
        return Program(name, state, pid, up_s, url)
    return Program(name, state, pid, up_s, url, report.ready, report.waiting, report.degraded)


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


def lags_of(reports: Mapping[str, Report | None], streams: Iterable[Stream]) -> Iterable[Lag]:
    """Return how far each service is behind, for the streams of which it says an offset."""
    ends = {stream.name: stream.last_offset for stream in streams}
    for service, report in reports.items():
        for stream, place in (report.facts.get("streams", {}) if report else {}).items():
            offset, end = place.get("offset"), ends.get(stream)
            handled = -1 if offset is None else int(offset)
            yield Lag(service, stream, offset, None if end is None else max(0, end - handled))


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
