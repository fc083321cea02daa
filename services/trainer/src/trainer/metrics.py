"""What the trainer's decider measures, beside what every service does."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from labelstream.events.training import TrainingFinished
from labelstream.trainings import STATES, JobBook, JobState

RECOVERY_RULES = ("out-of-memory", "not-finite", "checkpoint-damaged", "disk-full", "engine-died")
REQUEST_RULES = ("project.unknown", "job.unknown", "job.ended", "job.not_ended", "job.finished", "recipe.unreadable")

JOBS = Gauge("labelstream_trainer_jobs", "Jobs that stand so, of all that were ever requested", ["project", "state"])
EPOCHS = Counter("labelstream_trainer_epochs_total", "Epochs that were told of", ["project"])
RECOVERIES = Counter(
    "labelstream_trainer_recoveries_total", "Times that a training went on by itself, by what went wrong",
    ["project", "rule"],
)  # fmt: skip
REFUSED = Counter("labelstream_trainer_requests_refused_total", "Requests by hand that were refused, by rule", ["rule"])
TEST_MAP50 = Gauge("labelstream_trainer_test_map50", "mAP50 on test of the last training that finished", ["project"])
TEST_MAP50_95 = Gauge(
    "labelstream_trainer_test_map50_95", "mAP50-95 on test of the last training that finished", ["project"]
)
GAIN = Gauge(
    "labelstream_trainer_test_map50_gain",
    "mAP50 of the last training that finished less that of the model then in service, on the same images",
    ["project"],
)
VALIDATION_MAP50 = Gauge(
    "labelstream_trainer_validation_map50", "mAP50 on validation after the last epoch of the oldest running job",
    ["project"],
)  # fmt: skip
RUNNING_SECONDS = Gauge(
    "labelstream_trainer_running_seconds", "How long the oldest running job has run; 0: none runs", ["project"]
)
SILENT_SECONDS = Gauge(
    "labelstream_trainer_silent_seconds",
    "For how long no epoch ended in a running job, nor did it begin anew; the longest such time; 0: none runs",
    ["project"],
)
UNCLAIMED_SECONDS = Gauge(
    "labelstream_trainer_unclaimed_seconds",
    "How long the oldest job has waited for a worker to begin; 0: none waits",
    ["project"],
)
EPOCH = Gauge("labelstream_trainer_epoch", "Epochs behind it of the oldest running job; 0: none runs", ["project"])
PLANNED = Gauge(
    "labelstream_trainer_epochs_planned", "Epochs that the oldest running job is to have; 0: none runs", ["project"]
)
NEW = Gauge(
    "labelstream_trainer_validated_since_last", "Annotations validated since the last training's cut", ["project"]
)


def measure(book: JobBook, projects: Iterable[str], now_ms: int, heard_ms: dict[str, int]) -> None:
    """Show how the jobs stand; `heard_ms` says when a running job was last heard of, where the stream does not."""
    for project in projects:
        jobs = [state for state in book.jobs.values() if state.project == project]
        for name in STATES:
            JOBS.labels(project, name).set(sum(state.state == name for state in jobs))
        running = [state for state in jobs if state.state == "started"]
        begun = [state.attempts[0].time_ms for state in running]
        heard = [max(state.changed_ms, heard_ms.get(state.job, 0)) for state in running]
        asked = [state.requested_ms for state in jobs if state.state == "requested"]
        for gauge, times in ((RUNNING_SECONDS, begun), (SILENT_SECONDS, heard), (UNCLAIMED_SECONDS, asked)):
            gauge.labels(project).set(max(0, now_ms - min(times)) / 1000 if times else 0)
        _measure_progress(project, running)
        if running and running[0].progress is not None:
            VALIDATION_MAP50.labels(project).set(running[0].progress.map50)
        _measure_last(project, jobs)


def introduce(projects: Iterable[str]) -> None:
    """Begin at zero what seldom happens, so that it can be seen to rise."""
    for rule in REQUEST_RULES:
        REFUSED.labels(rule)
    for project in projects:
        EPOCHS.labels(project)
        for rule in RECOVERY_RULES:
            RECOVERIES.labels(project, rule)


def _measure_progress(project: str, running: list[JobState]) -> None:
    told = running[0].progress if running else None
    planned = told.epochs if told else running[0].requested.recipe.get("epochs", 0) if running else 0
    EPOCH.labels(project).set(told.epoch if told else 0)
    PLANNED.labels(project).set(planned)


def _measure_last(project: str, jobs: list[JobState]) -> None:
    finished = max(
        (state for state in jobs if state.state == "finished"), key=lambda s: s.ended_offset or 0, default=None
    )
    if finished is None or not isinstance(finished.ended, TrainingFinished):
        return
    TEST_MAP50.labels(project).set(finished.ended.test.map50)
    TEST_MAP50_95.labels(project).set(finished.ended.test.map50_95)
    if finished.ended.champion is not None:
        GAIN.labels(project).set(finished.ended.champion.difference)
