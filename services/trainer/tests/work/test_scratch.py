"""What a worker keeps on its disk, and for how long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured
from trainer.work.scratch import Scratch


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path, keep_datasets=2)


def used_in_turn(*folders: Path) -> None:
    for age, folder in enumerate(folders):
        (folder / "images").mkdir(parents=True)
        os.utime(folder, (age, age))


def test_the_datasets_used_last_are_kept(scratch):
    a, b, c, d = (scratch.dataset(name) for name in "abcd")
    used_in_turn(a, b, c, d)
    scratch.use(a)

    assert scratch.tidy([d]) == [b, c]
    assert [folder.exists() for folder in (a, b, c, d)] == [True, False, False, True]


def test_what_is_in_use_stays_however_old(scratch):
    a, b, c = (scratch.dataset(name) for name in "abc")
    used_in_turn(a, b, c)

    assert scratch.tidy([a]) == [b]


def test_folders_of_interrupted_jobs_are_bounded_too(scratch):
    jobs = [scratch.job(f"job-{number}") for number in range(5)]
    used_in_turn(*jobs)

    assert scratch.tidy([jobs[4]]) == jobs[:3]


def test_datasets_go_before_jobs_and_the_longest_unused_first(scratch):
    job, newer, older = scratch.job("j"), scratch.dataset("newer"), scratch.dataset("older")
    used_in_turn(job, older, newer)

    assert scratch.expendable([]) == [older, newer, job]


def test_removing_what_is_not_there_does_nothing(scratch):
    scratch.remove(scratch.job("never"))


def test_a_worker_that_is_killed_while_it_removes_leaves_no_half_of_a_dataset(scratch, monkeypatch):
    dataset = scratch.dataset("a")
    used_in_turn(dataset)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # killed right here
    scratch.remove(dataset)
    monkeypatch.undo()
    assert not dataset.exists()

    with scratch.owned():
        assert sorted(path.name for path in scratch.root.iterdir()) == ["datasets", "lock"]


def test_two_workers_can_t_share_a_folder(scratch):
    with scratch.owned(), pytest.raises(Misconfigured, match="LABELSTREAM_SCRATCH_DIR"), scratch.owned():
        pass
    with scratch.owned():
        pass
