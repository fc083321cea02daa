"""How the stages are doing, by what they said at two moments: rates, errors, lags, queues, answers, drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from labelstream_local.quantiles import Buckets, quantile
from labelstream_local.scrapes import Scrape
from labelstream_local.stages import BY_PROGRAM, JOBS, Count

PREDICTING = ("/v1/predict", "/v1/video")  # how the addresses begin whose answers are timed


@dataclass(frozen=True)
class Stage:
    """A program: what it does, how fast, and how far it is behind; None: it does not answer, or does not say."""

    name: str
    program: str
    ready: bool | None
    unit: str  # what `per_s` and `done` count
    per_s: float | None = None
    done: float | None = None  # since it started
    errors: float | None = None  # since it started
    lag_messages: float | None = None  # the largest of its readers
    lag_seconds: float | None = None
    looks: tuple[str, ...] = ()  # what it waits for, and what needs a look


@dataclass(frozen=True)
class ReaderLag:
    """How far one reader of a program is behind."""

    name: str
    stream: str
    reader: str
    messages: float
    seconds: float | None


@dataclass(frozen=True)
class Queue:
    """Jobs of one queue."""

    queue: str
    waiting: float | None  # None: nobody says
    running: float
    done: float  # attempts that ended well, since the workers started
    failed: float  # the others


@dataclass(frozen=True)
class Answers:
    """How inference answers."""

    per_s: float | None
    p50_s: float | None  # of the interval; None: nobody asked
    p99_s: float | None
    waiting: float | None
    limit: float | None
    batch: float | None  # mean images of a run of the network, since it started


@dataclass(frozen=True)
class Drift:
    """How far a model's answers have moved from what it found in its test images: 0 the same, 1 nothing in common."""

    project: str
    model: str
    kind: str
    distance: float


@dataclass(frozen=True)
class Figures:
    """Everything that two moments say."""

    interval_s: float | None  # None: there was one moment only
    stages: tuple[Stage, ...]
    lags: tuple[ReaderLag, ...]
    queues: tuple[Queue, ...]
    answers: Answers | None
    drift: tuple[Drift, ...]
    label_to_live_s: Mapping[str, float]  # by project: of the last promotion that brought something new


Scrapes = Mapping[str, Scrape]


def figures_of(now: Scrapes, before: Scrapes | None = None) -> Figures:
    """Return the figures; rates are those since `before`."""
    earlier = before or {}
    intervals = [scrape.at - earlier[name].at for name, scrape in now.items() if name in earlier]
    inference = [(name, scrape) for name, scrape in now.items() if scrape.program == "inference"]
    return Figures(
        interval_s=max(intervals) if intervals else None,
        stages=tuple(_stage(name, scrape, earlier.get(name)) for name, scrape in now.items()),
        lags=tuple(lag for name, scrape in now.items() for lag in _lags(name, scrape)),
        queues=tuple(_queues(now.values())),
        answers=_answers([(scrape, earlier.get(name)) for name, scrape in inference]) if inference else None,
        drift=tuple(_drift(now.values())),
        label_to_live_s=_label_to_live(scrape for _, scrape in inference),
    )


def _stage(name: str, scrape: Scrape, before: Scrape | None) -> Stage:
    program = scrape.program or name
    counts = BY_PROGRAM.get(program, JOBS)
    if scrape.report is None:
        return Stage(name, program, None, counts.unit)
    lags = [*_lags(name, scrape)]
    waits = [f"{what}: {why.get('reason', '')}" for what, why in scrape.report.waiting.items()]
    return Stage(
        name=name,
        program=program,
        ready=scrape.report.ready,
        unit=counts.unit,
        per_s=rate(counts.done, scrape, before),
        done=counts.done.total(scrape),
        errors=counts.errors.total(scrape),
        lag_messages=max((lag.messages for lag in lags), default=None),
        lag_seconds=max((lag.seconds for lag in lags if lag.seconds is not None), default=None),
        looks=(*waits, *(f"{what}: {why}" for what, why in scrape.report.degraded.items())),
    )


def rate(count: Count, now: Scrape, before: Scrape | None) -> float | None:
    """Return by how much a count rose a second; None when one of the moments says nothing of it."""
    if before is None or now.at <= before.at:
        return None
    here, there = count.total(now), count.total(before)
    if here is None or there is None:
        return None
    risen = here - there if here >= there else here  # a program that was started anew counts anew
    return risen / (now.at - before.at)


def _lags(name: str, scrape: Scrape) -> Iterator[ReaderLag]:
    for sample in scrape.of("labelstream_lag_messages"):
        stream, reader = sample.labels["stream"], sample.labels.get("reader", "")
        seconds = scrape.total("labelstream_lag_seconds", stream=stream, reader=reader)
        yield ReaderLag(name, stream, reader, sample.value, seconds)


def _queues(scrapes: Iterable[Scrape]) -> Iterator[Queue]:
    """Add up what workers say of each queue, and what deciders say of what waits."""
    running: dict[str, float] = {}
    ended: dict[tuple[str, bool], float] = {}
    waiting: dict[str, float] = {}
    for scrape in scrapes:
        for sample in scrape.of("labelstream_job_running"):
            queue = sample.labels["queue"]
            running[queue] = running.get(queue, 0) + sample.value
        for sample in scrape.of("labelstream_jobs_done_total"):
            place = sample.labels["queue"], sample.labels["outcome"] == "done"
            ended[place] = ended.get(place, 0) + sample.value
        asked = scrape.total("labelstream_trainer_jobs", state="requested")
        if asked is not None:
            waiting["jobs.train"] = waiting.get("jobs.train", 0) + asked
        offered = scrape.total("labelstream_augmenter_archives_offered")
        if scrape.program == "augmenter" and offered is not None:
            waiting["jobs.augment"] = waiting.get("jobs.augment", 0) + offered
    if "jobs.augment" in waiting:  # what is offered may be in work already
        waiting["jobs.augment"] = max(0, waiting["jobs.augment"] - running.get("jobs.augment", 0))
    for queue in sorted(running.keys() | waiting.keys()):
        yield Queue(
            queue, waiting.get(queue), running.get(queue, 0), ended.get((queue, True), 0), ended.get((queue, False), 0)
        )


def _answers(moments: list[tuple[Scrape, Scrape | None]]) -> Answers:
    """Return how all replicas together answer."""
    buckets = Buckets()
    for now, before in moments:
        for sample in now.of("labelstream_request_seconds_bucket"):
            if sample.labels["route"].startswith(PREDICTING):
                buckets.add(sample.labels["le"], sample.value)
        for sample in before.of("labelstream_request_seconds_bucket") if before else ():
            if sample.labels["route"].startswith(PREDICTING):
                buckets.add(sample.labels["le"], -sample.value)
    rates = [rate(BY_PROGRAM["inference"].done, now, before) for now, before in moments]
    known = [one for one in rates if one is not None]
    images, runs = _sum(moments, "labelstream_batch_size_sum"), _sum(moments, "labelstream_batch_size_count")
    return Answers(
        per_s=sum(known) if known else None,
        p50_s=quantile(buckets, 0.5),
        p99_s=quantile(buckets, 0.99),
        waiting=_sum(moments, "labelstream_queue_waiting"),
        limit=_sum(moments, "labelstream_queue_limit"),
        batch=images / runs if images is not None and runs else None,
    )


def _sum(moments: list[tuple[Scrape, Scrape | None]], name: str) -> float | None:
    values = [value for now, _ in moments if (value := now.total(name)) is not None]
    return sum(values) if values else None


def _drift(scrapes: Iterable[Scrape]) -> Iterator[Drift]:
    for scrape in scrapes:
        for sample in scrape.of("labelstream_drift"):
            yield Drift(sample.labels["project"], sample.labels["model"], sample.labels["kind"], sample.value)


def _label_to_live(scrapes: Iterable[Scrape]) -> dict[str, float]:
    """Return what the replicas say; of two, the slower one counts."""
    found: dict[str, float] = {}
    for scrape in scrapes:
        said = scrape.report.facts.get("label_to_live") if scrape.report else None
        for project, seconds in (said or {}).items():
            found[project] = max(seconds, found.get(project, 0.0))
    return found
