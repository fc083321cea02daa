"""Checkpoints and best weights as files."""

from __future__ import annotations

import json

import pytest

from labelstream.values import sha256_file
from trainer.engine import best, checkpoints
from trainer.engine.checkpoints import Damaged, Head
from trainer.engine.contract import CHECKPOINT, CHECKPOINT_BEFORE, Adjustments

METRICS = {"map50": 0.5, "map50_95": 0.25, "precision": 1, "recall": 1, "images": 3}


def head(epoch: int) -> Head:
    return Head(
        identity="of a training",
        epoch=epoch,
        complete=False,
        best_epoch=1,
        best_sha256="0" * 64,
        adjustments=Adjustments(),
        history=(),
    )


def write(folder, epoch: int) -> None:
    checkpoints.write(folder, head(epoch), memoryview(f"state\nof {epoch}".encode()))


def test_the_newest_checkpoint_stands_and_the_one_before_lies_beside_it(tmp_path):
    assert checkpoints.standing(tmp_path) is None
    for epoch in (1, 2, 3):
        write(tmp_path, epoch)
    assert checkpoints.standing(tmp_path) == head(3)
    assert checkpoints.state_of(tmp_path / CHECKPOINT) == b"state\nof 3"
    assert checkpoints.whole(tmp_path / CHECKPOINT_BEFORE) == head(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT_BEFORE, CHECKPOINT]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "head"])
def test_damage_is_noticed_and_the_one_before_stands(tmp_path, damage):
    write(tmp_path, 1)
    write(tmp_path, 2)
    path = tmp_path / CHECKPOINT
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    if damage == "head":
        content[100] ^= 1
    path.write_bytes({"cut": content[:-1], "empty": b""}.get(damage, bytes(content)))

    with pytest.raises(Damaged, match=CHECKPOINT):
        checkpoints.whole(path)
    assert checkpoints.standing(tmp_path) == head(1)
    assert checkpoints.fall_back(tmp_path) == 1
    assert checkpoints.standing(tmp_path) == head(1)
    assert checkpoints.fall_back(tmp_path) == 0
    assert checkpoints.standing(tmp_path) is None


def test_a_checkpoint_of_another_version_s_making_counts_as_damaged(tmp_path):
    write(tmp_path, 1)
    other = head(2).model_copy(update={"best_sha256": None})
    checkpoints.write(tmp_path, other, memoryview(b"state"))

    with pytest.raises(Damaged, match="best_sha256"):
        checkpoints.whole(tmp_path / CHECKPOINT)
    assert checkpoints.standing(tmp_path) == head(1)


def test_a_checkpoint_that_finds_no_room_leaves_the_last_one_and_nothing_else(tmp_path):
    write(tmp_path, 1)
    (tmp_path / f"{CHECKPOINT}.unfinished").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert checkpoints.standing(tmp_path) == head(1)


def test_whoever_was_killed_between_two_renamings_finds_the_one_before(tmp_path):
    write(tmp_path, 1)
    (tmp_path / CHECKPOINT).rename(tmp_path / CHECKPOINT_BEFORE)
    assert checkpoints.newest(tmp_path) == tmp_path / CHECKPOINT_BEFORE
    assert checkpoints.epochs_in(tmp_path) == 1


def weights(path, epoch: int) -> str:
    """Write what a safetensors file without tensors looks like; return its digest."""
    header = json.dumps({"__metadata__": {best.HEADER: json.dumps({"epoch": epoch, "validation": METRICS})}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return sha256_file(path)


def test_the_best_weights_that_a_checkpoint_names_are_found_after_better_ones_came(tmp_path):
    first = weights(best.make_way(tmp_path), 1)
    weights(best.make_way(tmp_path), 2)
    assert best.settle(tmp_path, first)
    assert best.read_best(tmp_path / "best.safetensors").epoch == 1
    assert not best.settle(tmp_path, "f" * 64)


def test_a_training_that_ended_early_keeps_its_best_weights(tmp_path):
    assert best.kept(tmp_path) is None
    weights(best.make_way(tmp_path), 4)
    kept = best.kept(tmp_path)
    assert kept is not None
    assert (kept.best_epoch, kept.validation.map50, kept.weights.name) == (4, 0.5, "best.safetensors")


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]"])
def test_weights_half_written_are_not_kept(tmp_path, content):
    weights(best.make_way(tmp_path), 4)
    best.make_way(tmp_path).write_bytes(content)
    kept = best.kept(tmp_path)
    assert kept is not None
    assert kept.weights.name == "best-before.safetensors"
