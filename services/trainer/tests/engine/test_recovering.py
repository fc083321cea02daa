"""What is changed after which failure."""

from __future__ import annotations

import pytest

from trainer.engine.contract import Adjustments
from trainer.engine.kills import memory_kills
from trainer.engine.recovering import after, merged
from trainer.recipe import TrainingRecipe

RECIPE = TrainingRecipe(batch=12)


def test_out_of_memory_halves_the_batch_and_the_rate_in_proportion_down_to_one_image():
    now, seen = Adjustments(), []
    while changed := after("out-of-memory", now, RECIPE):
        now = changed
        seen.append((now.batch, now.learning_rate_scale))
    assert seen == [(6, 0.5), (3, 0.25), (1, pytest.approx(0.25 / 3))]


def test_each_device_keeps_the_same_number_of_images():
    assert after("out-of-memory", Adjustments(), RECIPE, devices=4) == Adjustments(batch=4, learning_rate_scale=1 / 3)
    assert after("out-of-memory", Adjustments(batch=4), RECIPE, devices=4) is None


def test_a_batch_that_nobody_measured_yet_is_halved_from_what_it_would_be_unmeasured():
    assert after("out-of-memory", Adjustments(), TrainingRecipe(batch="auto")) == Adjustments(
        batch=8, learning_rate_scale=0.5
    )


def test_a_loss_that_is_no_number_halves_the_rate_three_times():
    now, scales = Adjustments(), []
    while changed := after("not-finite", now, RECIPE):
        now = changed
        scales.append(now.learning_rate_scale)
    assert scales == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("rule", ["engine-died", "checkpoint-damaged"])
def test_what_is_not_the_recipes_fault_changes_nothing(rule):
    assert after(rule, Adjustments(batch=3), RECIPE) == Adjustments(batch=3)


@pytest.mark.parametrize("rule", ["disk-full", "recipe-wrong", "dataset-empty", "engine-error"])
def test_what_another_try_can_not_help_is_not_tried(rule):
    assert after(rule, Adjustments(), RECIPE) is None


def test_adjustments_known_in_two_places_add_up_to_the_stronger_ones():
    here = Adjustments(batch=4, learning_rate_scale=0.25, not_finite=0)
    there = Adjustments(batch=None, learning_rate_scale=0.5, not_finite=2)
    assert merged(here, there) == merged(there, here) == Adjustments(batch=4, learning_rate_scale=0.25, not_finite=2)


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("0::/jobs/a", "jobs/a/memory.events"),
        ("0::/", "memory.events"),
        ("7:memory:/a", "memory/a/memory.oom_control"),
        ("7:memory:/elsewhere", "memory/memory.oom_control"),
    ],
)
def test_the_kernels_count_is_read_where_the_control_group_has_it(tmp_path, group, file):
    groups = tmp_path / "cgroup"
    groups.write_text(f"3:cpuset:/x\n{group}\n")
    assert memory_kills(groups, tmp_path) == 0
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("oom 7\noom_kill 2\n")
    assert memory_kills(groups, tmp_path) == 2


def test_where_nobody_counts_nobody_was_killed(tmp_path):
    assert memory_kills(tmp_path / "none", tmp_path) == 0
