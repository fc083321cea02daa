"""Checkpoints on disk: what one says of itself, and whether it is whole. Imports no torch.

A file is a first line with the SHA-256 of all that follows, a line of JSON (the head), and the state,
which is torch's own format with nothing but tensors, numbers and text in it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from labelstream.values import Sha256, Value
from trainer.engine.contract import CHECKPOINT, CHECKPOINT_BEFORE, Adjustments, Progress, Recovery

_FORMAT = b"labelstream-checkpoint-1 "
_FIRST_LINE = len(_FORMAT) + 64 + 1


class Damaged(Exception):
    """A checkpoint is not what was written."""


class Head(Value):
    """What a checkpoint says of itself."""

    identity: str = Field(description="digest of recipe, dataset and first weights: of which training it is")
    epoch: int = Field(description="epochs behind it")
    complete: bool = Field(description="nothing is left to train, by the number of epochs or by patience")
    best_epoch: int
    best_sha256: Sha256 = Field(description="of the best weights' file")
    adjustments: Adjustments = Field(description="in force")
    history: tuple[Progress, ...]
    recoveries: tuple[Recovery, ...] = ()


def write(out_dir: Path, head: Head, state: memoryview) -> None:
    """Make this the checkpoint, whole or not at all; the last one becomes the one before.

    Raises OSError.
    """
    line = head.model_dump_json().encode() + b"\n"
    digest = hashlib.sha256(line)
    digest.update(state)
    unfinished = out_dir / f"{CHECKPOINT}.unfinished"
    try:
        with unfinished.open("wb") as file:
            file.write(_FORMAT + digest.hexdigest().encode() + b"\n" + line)
            file.write(state)
    except OSError:
        unfinished.unlink(missing_ok=True)  # a full disk is not filled further
        raise
    path = out_dir / CHECKPOINT
    if path.exists():
        path.replace(out_dir / CHECKPOINT_BEFORE)
    unfinished.replace(path)


def whole(path: Path) -> Head:
    """Return the head of a checkpoint after checking all of it.

    Raises Damaged.
    """
    with path.open("rb") as file:
        first = file.read(_FIRST_LINE)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if first != _FORMAT + digest.encode() + b"\n":
        size = path.stat().st_size
        raise Damaged(f"{path.name} is not what was written there: {size} bytes, SHA-256 {digest[:12]}…")
    try:
        return head_of(path)
    except ValueError as error:  # whole, but of another version's making
        raise Damaged(f"{path.name} does not say what it is: {error}") from error


def head_of(path: Path) -> Head:
    """Return what a checkpoint says of itself, unchecked.

    Raises ValueError when it says nothing that can be understood.
    """
    with path.open("rb") as file:
        file.seek(_FIRST_LINE)
        return Head.model_validate_json(file.readline())


def state_of(path: Path) -> bytes:
    """Return a checkpoint's state, unchecked."""
    with path.open("rb") as file:
        file.seek(_FIRST_LINE)
        file.readline()
        return file.read()


def newest(out_dir: Path) -> Path | None:
    """Return where the newest checkpoint lies; who is killed while it writes may leave only the one before."""
    found = (out_dir / name for name in (CHECKPOINT, CHECKPOINT_BEFORE))
    return next((path for path in found if path.exists()), None)


def standing(out_dir: Path) -> Head | None:
    """Return the head of the newest checkpoint that is whole; reads the files."""
    for path in (out_dir / CHECKPOINT, out_dir / CHECKPOINT_BEFORE):
        try:
            return whole(path)
        except (Damaged, FileNotFoundError):
            continue
    return None


def fall_back(out_dir: Path) -> int:
    """Give up the newest checkpoint for the one before; return the epochs that now stand, as far as is known unread."""
    path = newest(out_dir)
    before = out_dir / CHECKPOINT_BEFORE
    if path is not None:
        path.unlink()
    if before.exists():
        before.replace(out_dir / CHECKPOINT)
    return epochs_in(out_dir)


def forget(out_dir: Path) -> None:
    """Remove the checkpoints: another training begins here."""
    for name in (CHECKPOINT, CHECKPOINT_BEFORE):
        (out_dir / name).unlink(missing_ok=True)


def epochs_in(out_dir: Path) -> int:
    """Return how many epochs the newest checkpoint says it has behind it, whole or not; 0 when there is none."""
    path = newest(out_dir)
    try:
        return head_of(path).epoch if path else 0
    except ValueError:
        return 0
