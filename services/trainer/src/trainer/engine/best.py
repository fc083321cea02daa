"""The best weights of a training that is under way: which epoch's they are, and where they lie. Imports no torch.

When better ones are found, the last best ones stay beside them: a checkpoint written before that still
needs them.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from labelstream.events.training import Metrics
from labelstream.values import Sha256, Value, sha256_file
from trainer.engine.contract import ARCHITECTURE, BEST, Kept

BEFORE = "best-before.safetensors"
HEADER = "labelstream"  # where the best weights say what they are
_LARGEST_HEADER = 16 << 20  # bytes; those of the largest networks have a tenth


class Best(Value):
    """What the best weights say of themselves."""

    epoch: int
    validation: Metrics


def make_way(out_dir: Path) -> Path:
    """Put the best weights so far aside, and return where better ones go."""
    path = out_dir / BEST
    if path.exists():
        path.replace(out_dir / BEFORE)
    return path


def settle(out_dir: Path, sha256: Sha256) -> bool:
    """Make the weights with this digest the best ones; say whether they are there and whole."""
    for path in (out_dir / BEST, out_dir / BEFORE):
        if path.exists() and sha256_file(path) == sha256:
            path.replace(out_dir / BEST)
            return True
    return False


def kept(out_dir: Path) -> Kept | None:
    """Return the best weights of a training that was ended before its time; None when no epoch had ended."""
    for path in (out_dir / BEST, out_dir / BEFORE):
        try:
            best = read_best(path)
        except (OSError, ValueError):
            continue
        return Kept(
            best_epoch=best.epoch, validation=best.validation, weights=path, architecture=out_dir / ARCHITECTURE
        )
    return None


def read_best(path: Path) -> Best:
    """Return what the weights at `path` say of themselves.

    Raises ValueError when they say nothing.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")  # safetensors: the header's size, the header, the tensors
        if size > _LARGEST_HEADER:
            raise ValueError(f"{path} is no safetensors file: its header would have {size} bytes")
        header = json.loads(file.read(size))
    try:
        return Best.model_validate_json(header["__metadata__"][HEADER])
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(f"{path} does not say of which epoch it is: {error!r}") from error
