"""Begins a network with another's weights: what has the same shape is taken, and classes go by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from ultralytics.nn.modules import Detect

_CLASS_BRANCHES = ("cv3", "one2one_cv3")  # of a Detect head: one branch for each stride, ending in a row for each class


@dataclass(frozen=True)
class Transferred:
    """What a network took over."""

    tensors: int
    of: int
    classes: tuple[str, ...]  # whose rows in the head were taken over


def transfer(model: Any, names: Sequence[str], weights: Path, weights_names: Sequence[str]) -> Transferred:
    """Put into `model`, whose classes are `names`, what fits of the weights of another; the rest stays as it was made.

    A class row is taken from the class of the same name (case and outer spaces do not matter), never from
    one that only has the same number. Where the head is as wide for one number of classes as for the other, all
    classes that both know are taken over; where not, the branch begins anew, as ultralytics' fine-tuning does.
    """
    state, given = model.state_dict(), load_file(weights)
    rows = _rows(names, weights_names)
    by_class = _class_tensors(model)
    fitting = [name for name, own in state.items() if name in given and name not in by_class]
    taken = [name for name in fitting if state[name].shape == given[name].shape]
    for name in taken:
        state[name].copy_(given[name])
    wide = [layer for layer in by_class.values() if _is_as_wide(state, given, layer)]
    heads = [name for name, layer in by_class.items() if layer in wide]
    for name in heads:
        _copy_rows(state[name], given[name], rows)
    return Transferred(len(taken) + len(heads), len(state), tuple(names[own] for own, _ in rows) if heads else ())


def _is_as_wide(state: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], layer: str) -> bool:
    """Say whether a layer with a row for each class sees as many features in both networks."""
    weight = f"{layer}.weight"
    return weight in given and state[weight].shape[1:] == given[weight].shape[1:]


def _rows(names: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    known = {_key(name): i for i, name in enumerate(others)}
    return [(i, known[_key(name)]) for i, name in enumerate(names) if _key(name) in known]


def _key(name: str) -> str:
    return name.strip().casefold()


def _copy_rows(own: torch.Tensor, other: torch.Tensor, rows: Sequence[tuple[int, int]]) -> None:
    for to, origin in rows:
        own[to].copy_(other[origin])


def _class_tensors(model: Any) -> dict[str, str]:
    """Return the names of the tensors that have a row for each class → the layer that each belongs to."""
    found: dict[str, str] = {}
    for place, module in model.named_modules():
        if isinstance(module, Detect):
            for branch in _CLASS_BRANCHES:
                for stride, layers in enumerate(getattr(module, branch, None) or ()):
                    layer = f"{place}.{branch}.{stride}.{len(layers) - 1}"
                    found.update({f"{layer}.{part}": layer for part in ("weight", "bias")})
    return found
