"""Networks to and from safetensors: nothing that is loaded here can run code. Import it after the preparation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.nn.tasks import DetectionModel

from labelstream_yolo.architecture import SECTIONS, Architecture, check_network


def save_weights(model: torch.nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write the state of `model` in full precision, whole or not at all; `metadata` travels in the file's header.

    Raises OSError as any writing does.
    """
    state = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
    }
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(save(state, metadata=metadata))  # safetensors' own writing hides what the disk said
    unfinished.replace(path)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata that `save_weights` was given."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def build_model(architecture: Architecture) -> Any:
    """Build the untrained network (an ultralytics DetectionModel).

    Raises ValueError when the architecture names something that is no layer.
    """
    check_layers(architecture.model)
    model = DetectionModel(copy.deepcopy(dict(architecture.model)), nc=len(architecture.names), verbose=False)
    model.names = dict(enumerate(architecture.names))
    model.task = architecture.task
    model.args = get_cfg()
    return model


def load_model(weights: Path, architecture: Architecture) -> Any:
    """Build the network and put the trained weights into it, ready to answer (eval mode, on the CPU).

    Raises ValueError when the weights are not those of this architecture.
    """
    model = build_model(architecture)
    try:
        model.load_state_dict(load_file(weights), strict=True)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit the architecture: {error}") from error
    return model.eval()


def check_layers(model: dict[str, Any]) -> None:
    """Raise ValueError unless every layer names a network module of torch or ultralytics.

    The names are looked up among everything that ultralytics imported: only modules may be meant.
    """
    check_network(model)
    for layer in (layer for section in SECTIONS for layer in model[section]):
        name: str = layer[2]
        place, plain = (torch.nn, name.removeprefix("nn.")) if name.startswith("nn.") else (tasks, name)
        found = getattr(place, plain, None)
        if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
            raise ValueError(f"the network names a layer {name!r}, which neither torch nor ultralytics has")
