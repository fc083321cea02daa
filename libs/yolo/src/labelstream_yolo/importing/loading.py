"""Opens foreign weights by an allow-list of classes, and proves that they are a detector that can be built here."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from ultralytics.nn.tasks import DetectionModel, torch_safe_load

from labelstream.values import digest_of, sha256_file, short_id
from labelstream_yolo.architecture import Architecture, read_architecture
from labelstream_yolo.engine import EngineFailure
from labelstream_yolo.importing.contract import ARCHITECTURE, WEIGHTS, Imported, ImportSpec
from labelstream_yolo.offline import versions
from labelstream_yolo.weights import load_model, save_weights

MOST_CLASSES = 10_000
USUAL_IMAGE_SIZE = 640  # of ultralytics, where a file does not say it


def read_weights(spec: ImportSpec, *, confined: bool) -> Imported:
    """Read the file, and leave weights and architecture in the folder.

    Raises EngineFailure (`weights-unreadable`, `weights-task`, `weights-network`).
    """
    weights, architecture = spec.out_dir / WEIGHTS, spec.out_dir / ARCHITECTURE
    found = _from_torch(spec.file, weights) if spec.file.suffix == ".pt" else _from_safetensors(spec.file, weights)
    model = _proved(weights, found)
    architecture.write_text(found.model_dump_json(indent=1))
    return Imported(
        id=short_id("weights", sha256_file(weights), digest_of([found.model, list(found.names)])),
        weights=weights,
        architecture=architecture,
        names=found.names,
        image_size=found.image_size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        source_sha256=sha256_file(spec.file),
        confined=confined,
    )


def _from_torch(file: Path, weights: Path) -> Architecture:
    model = _unpickled(file)
    if type(model) is not DetectionModel:  # models for other tasks are kinds of it
        kind = type(model).__name__
        raise EngineFailure("weights-task", f"{file.name} holds a {kind}; only YOLO detectors can be used")
    if not all(torch.isfinite(value).all() for value in model.state_dict().values() if value.is_floating_point()):
        raise EngineFailure("weights-network", f"{file.name} holds weights that are no numbers (NaN or infinite)")
    found = _architecture(file, model)
    save_weights(model, weights)
    return found


def _unpickled(file: Path) -> Any:
    if not zipfile.is_zipfile(file):
        raise EngineFailure("weights-unreadable", f"{file.name} is no checkpoint that torch 1.6 or later wrote")
    try:
        content, _ = torch_safe_load(str(file), safe_only=True)
    except Exception as error:  # whatever a hostile file sets off is one and the same answer
        raise EngineFailure("weights-unreadable", f"{file.name} can't be read: {_plain(error)}") from error
    return content.get("ema") or content.get("model")


def _architecture(file: Path, model: Any) -> Architecture:
    network = {key: value for key, value in dict(model.yaml).items() if key not in ("yaml_file", "ch", "channels")}
    network = json.loads(json.dumps(network))  # tuples as lists, as a yaml gives them
    told = getattr(model, "args", None)
    size = (told if isinstance(told, dict) else vars(told) if told is not None else {}).get("imgsz", USUAL_IMAGE_SIZE)
    size = max(size) if isinstance(size, list | tuple) else size
    try:
        return Architecture(
            model=network,
            image_size=int(size),
            names=_names(model.names),
            versions=versions("labelstream-yolo"),
        )
    except (ValidationError, ValueError, TypeError) as error:
        raise EngineFailure("weights-network", f"{file.name}: {_plain(error)}") from error


def _names(given: Any) -> tuple[str, ...]:
    listed = [given[i] for i in range(len(given))] if isinstance(given, dict) else list(given)
    if not 0 < len(listed) <= MOST_CLASSES:
        raise ValueError(f"it names {len(listed)} classes")
    return tuple(map(str, listed))


def _from_safetensors(file: Path, weights: Path) -> Architecture:
    beside = file.with_name(ARCHITECTURE)
    try:
        found = read_architecture(beside)
    except FileNotFoundError as error:
        raise EngineFailure("weights-unreadable", f"{beside.name} must lie beside {file.name}, and does not") from error
    except (OSError, ValueError) as error:
        raise EngineFailure("weights-unreadable", f"{beside.name}: {_plain(error)}") from error
    shutil.copyfile(file, weights)
    return found


def _proved(weights: Path, architecture: Architecture) -> Any:
    """Return the network that the files give: built from the data alone, every weight in its place."""
    try:
        return load_model(weights, architecture)
    except (ValueError, RuntimeError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise EngineFailure("weights-network", f"the network can't be built: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    return " ".join(str(error).replace("ERROR ❌️", "").split())[:500] or type(error).__name__
