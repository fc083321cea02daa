"""What the services' own figures come to: rates of two moments, lags, queues, quantiles."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from labelstream_cli.figures_view import ROOMY, lines, looks, queues_table, stages_table
from labelstream_cli.status_watch import screen
from labelstream_local.figures import Figures, Queue, ReaderLag, Stage, figures_of
from labelstream_local.quantiles import Buckets, quantile
from labelstream_local.reports import Report
from labelstream_local.scrapes import Scrape, read_samples
from labelstream_local.status import status_from

INFERENCE = """
labelstream_build_info{version="1",program="inference"} 1
labelstream_requests_total{route="/v1/predict",method="POST",status="200"} %d
labelstream_requests_total{route="/v1/predict",method="POST",status="503"} 2
labelstream_requests_total{route="/metrics",method="GET",status="200"} 1000
labelstream_request_seconds_bucket{route="/v1/predict",le="0.1"} %d
labelstream_request_seconds_bucket{route="/v1/predict",le="0.2"} %d
labelstream_request_seconds_bucket{route="/v1/predict",le="+Inf"} %d
labelstream_request_seconds_bucket{route="/metrics",le="+Inf"} 1000
labelstream_queue_waiting 3
labelstream_queue_limit 64
labelstream_batch_size_sum 30
labelstream_batch_size_count 20
labelstream_drift{project="default",model="m",kind="classes"} 0.5
labelstream_lag_messages{stream="model-events",reader="inference"} 0
labelstream_lag_seconds{stream="model-events",reader="inference"} 0
"""
TRAINER = """
labelstream_build_info{version="1",program="trainer"} 1
labelstream_trainer_epochs_total{project="default"} 4
labelstream_trainer_jobs{project="default",state="requested"} 1
labelstream_trainer_jobs{project="default",state="failed"} 2
labelstream_job_running{queue="jobs.train"} 1
labelstream_jobs_done_total{queue="jobs.train",outcome="done"} 5
labelstream_jobs_done_total{queue="jobs.train",outcome="again"} 1
labelstream_lag_messages{stream="annotation-events",reader="trainer"} 7
labelstream_lag_seconds{stream="annotation-events",reader="trainer"} 90
labelstream_lag_messages{stream="model-events",reader="trainer.mirror"} 2
labelstream_lag_seconds{stream="model-events",reader="trainer.mirror"} 3
"""
TRAINING = {"job": "0123456789abcdef", "project": "default", "state": "started", "epoch": 3, "epochs": 20}
MODEL = {
    "model": "0fa673be316ce416", "promotion": 3, "artifact": "onnx-fp32", "backend": "onnxruntime", "dataset": "d",
}  # fmt: skip


def scraped(at: float, text: str, **facts: object) -> Scrape:
    return Scrape(at, Report(True, {}, {"disk": "nearly full"}, facts), read_samples(text))


def inference(at: float, answered: int) -> Scrape:
    text = INFERENCE % (answered, answered // 2, answered, answered)
    return scraped(at, text, label_to_live={"default": 1234.0}, model={"default": MODEL})


NOW = {
    "inference": inference(110.0, 120),
    "trainer": scraped(110.0, TRAINER, trainings=[{**TRAINING, "map50": 0.5, "eta_s": 70}]),
    "augmenter": Scrape(110.0),
}


@pytest.fixture
def figures() -> Figures:
    return figures_of(NOW, {"inference": inference(100.0, 20), "trainer": scraped(100.0, TRAINER)})


def test_a_rate_is_what_came_between_two_moments_without_those_who_only_look(figures: Figures) -> None:
    stages = {stage.name: stage for stage in figures.stages}
    assert (stages["inference"].per_s, stages["inference"].done, stages["inference"].errors) == (10.0, 122, 2)
    assert (stages["trainer"].per_s, stages["trainer"].done, stages["trainer"].errors) == (0.0, 4, 2)
    assert figures.interval_s == 10.0


def test_one_moment_knows_no_rates_and_a_program_that_does_not_answer_knows_nothing() -> None:
    stages = {stage.name: stage for stage in figures_of(NOW).stages}
    assert (stages["inference"].per_s, stages["inference"].ready) == (None, True)
    assert (stages["augmenter"].per_s, stages["augmenter"].done, stages["augmenter"].ready) == (None, None, None)


def test_a_program_that_was_started_anew_counts_from_nothing() -> None:
    stages = figures_of({"i": inference(110.0, 18)}, {"i": inference(100.0, 1000)}).stages
    assert stages[0].per_s == 2.0


def test_the_lag_of_a_stage_is_that_of_its_latest_reader(figures: Figures) -> None:
    trainer = next(stage for stage in figures.stages if stage.name == "trainer")
    assert (trainer.lag_messages, trainer.lag_seconds) == (7, 90)
    assert ReaderLag("trainer", "model-events", "trainer.mirror", 2, 3) in figures.lags


def test_jobs_are_added_up_by_queue(figures: Figures) -> None:
    assert figures.queues == (Queue("jobs.train", waiting=1, running=1, done=5, failed=1),)


@pytest.mark.parametrize(("offered", "waiting"), [(0, 0), (1, 0), (3, 2)])
def test_what_is_offered_and_not_in_work_waits(offered: int, waiting: int) -> None:
    decider = f'labelstream_build_info{{program="augmenter"}} 1\nlabelstream_augmenter_archives_offered {offered}\n'
    worker = 'labelstream_job_running{queue="jobs.augment"} 1\n'
    figures = figures_of({"augmenter": scraped(1.0, decider), "augmenter-work": scraped(1.0, worker)})
    assert figures.queues == (Queue("jobs.augment", waiting=waiting, running=1, done=0, failed=0),)


def test_a_model_that_is_withdrawn_is_none_that_was_just_exported() -> None:
    told = 'labelstream_build_info{program="exporter"} 1\nlabelstream_exporter_models{outcome="%s"} 1\n'
    now, before = scraped(11.0, told % "withdrawn"), scraped(1.0, told % "exported")
    assert figures_of({"exporter": now}, {"exporter": before}).stages[0].per_s == 0.0


def test_what_inference_does_is_told_of_the_interval(figures: Figures) -> None:
    answers = figures.answers
    assert answers is not None
    assert (answers.p50_s, answers.p99_s) == (pytest.approx(0.1), pytest.approx(0.198))
    assert (answers.per_s, answers.waiting, answers.limit, answers.batch) == (10.0, 3, 64, 1.5)
    assert [*lines(figures)] == [
        "inference     10.0 requests/s, p50 100 ms, p99 198 ms, queue 3 of 64, 1.5 images a run",
        "drift         [yellow]default classes 0.50[/yellow]",
        "label to live default 20 min, at the last promotion",
    ]


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({}, 0.5, None),
        ({"0.1": 0, "+Inf": 0}, 0.5, None),
        ({"0.1": 10, "+Inf": 10}, 0.5, 0.05),
        ({"0.1": 0, "0.3": 10, "+Inf": 10}, 0.5, 0.2),
        ({"0.1": 1, "+Inf": 10}, 0.99, 0.1),
    ],
    ids=["nobody", "nothing", "first", "between", "beyond"],
)
def test_a_quantile_is_estimated_as_prometheus_does(
    counts: dict[str, float], share: float, expected: float | None
) -> None:
    buckets = Buckets()
    for bound, count in counts.items():
        buckets.add(bound, count)
    assert quantile(buckets, share) == (None if expected is None else pytest.approx(expected))


def test_what_is_no_text_of_prometheus_counts_as_nothing() -> None:
    assert read_samples("<html>{{{ not metrics") == {}


# ---- on a terminal


def drawn(renderable: object, width: int = 140) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above


def test_each_stage_is_a_line_on_a_narrow_terminal_too(figures: Figures) -> None:
    assert stages_of(figures, 140) == {
        "inference": "inference yes 10.0 requests/s 122 2 0 0 s",
        "trainer": "trainer yes 0.0 epochs/s 4 2 7 1 min 30 s",
        "augmenter": "augmenter no answer - - - - -",
    }
    assert stages_of(figures, 80)["trainer"] == "trainer yes 0.0 epochs/s 2 7 1 min 30 s"  # not since its start
    assert drawn(queues_table(figures.queues)).split()[-5:] == ["train", "1", "1", "5", "1"]


def test_the_widest_line_of_a_stage_fits_the_narrowest_terminal() -> None:
    long = Stage("inference-annotate", "annotation-ingest", None, "annotations", 12_345, 1e6, 9e3, 1e5, 86_399)
    for width in (80, ROOMY):
        (line,) = drawn(stages_table([long], width=width), width).splitlines()[1:]
        assert "…" not in line


def test_what_is_awaited_or_needs_a_look_or_is_late_is_a_line_of_its_own(figures: Figures) -> None:
    assert [*looks(figures)] == [
        "[yellow]inference: disk: nearly full[/yellow]",
        "[yellow]trainer: disk: nearly full[/yellow]",
        "[yellow]trainer: 7 messages of annotation-events wait, the oldest for 1 min 30 s[/yellow]",
    ]


@pytest.mark.parametrize("width", [80, 140])
def test_the_screen_shows_a_training_as_a_bar_with_its_map(figures: Figures, width: int) -> None:
    addresses = dict.fromkeys(NOW, "http://127.0.0.1:1")
    said = drawn(screen(status_from(addresses, NOW, figures), 2, width), width)
    assert "2 of 3 services answer; every 2 s, rates over 10 s" in said
    (line,) = [line for line in said.splitlines() if line.startswith("training")]
    assert " ".join(line.replace("━", "").replace("╸", "").replace("╺", "").split()) == (
        f"training 0123456789ab {'of default ' if width > 80 else ''}3 of 20 epochs mAP50 0.500 1 min 10 s left"
    )
    assert f"model default: {MODEL['model'][:12]}, as onnx-fp32 by onnxruntime, promotion 3" in " ".join(said.split())
    assert "label to live default 20 min" in said


def test_of_many_trainings_and_looks_the_screen_shows_the_first(figures: Figures) -> None:
    trainings = [{**TRAINING, "state": "requested"}] * 13
    now = NOW | {"trainer": scraped(110.0, TRAINER, trainings=trainings)}
    stages = tuple(replace(stage, looks=("a", "b", "c")) for stage in figures.stages)
    said = drawn(screen(status_from(dict.fromkeys(now, "x"), now, replace(figures, stages=stages)), 2, 140))
    assert len([line for line in said.splitlines() if line.startswith("training")]) == 4
    assert "and 9 more: `labelstream jobs list`" in said
    assert "and 6 more: `labelstream status`" in said


def stages_of(figures: Figures, width: int) -> dict[str, str]:
    said = drawn(stages_table(figures.stages, width=width), width).splitlines()
    return {line.split()[0]: " ".join(line.split()) for line in said[1:]}


def test_replicas_of_other_names_are_known_by_what_they_say_they_are() -> None:
    now = {"a": inference(110.0, 30), "b": inference(110.0, 50)}
    figures = figures_of(now, {"a": inference(100.0, 20), "b": inference(100.0, 20)})
    assert figures.answers is not None
    assert (figures.answers.per_s, figures.answers.limit) == (4.0, 128)
    status = status_from(dict.fromkeys(now, "http://127.0.0.1:1"), now, figures)
    assert status.model == {"default": MODEL}
    assert "model    default: 0fa673be316c" in drawn(screen(status, 2, 140))
