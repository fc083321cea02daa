"""How a detector is trained, as data: equal recipes on equal datasets are one job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator

from labelstream.errors import Misconfigured
from labelstream.values import Value, digest_of
from labelstream_yolo.architecture import check_network
from labelstream_yolo.offline import versions

RECIPES = Path(__file__).parent / "recipes"
ARCHITECTURES = Path(__file__).parent / "engine" / "architectures"
NAMED = r"^yolo(v8|11|12|26)[nsmlx]$"  # networks that ultralytics describes


class OnTheFly(Value):
    """What is changed anew each time an image is shown, on top of the stored variants. All off by default."""

    fliplr: float = Field(0.0, ge=0, le=1, description="probability of a horizontal flip")
    flipud: float = Field(0.0, ge=0, le=1, description="probability of a vertical flip")
    hsv_h: float = Field(0.0, ge=0, le=1)
    hsv_s: float = Field(0.0, ge=0, le=1)
    hsv_v: float = Field(0.0, ge=0, le=1)
    degrees: float = Field(0.0, ge=0, le=180)
    translate: float = Field(0.0, ge=0, le=1, description="of the image's side")
    scale: float = Field(0.0, ge=0, lt=1, description="gain, up and down")
    mosaic: float = Field(0.0, ge=0, le=1, description="probability of a mosaic of four images")
    close_mosaic: int = Field(0, ge=0, description="epochs at the end without mosaic")
    mixup: float = Field(0.0, ge=0, le=1)
    albumentations: bool = Field(
        False, description="also blur, grey or equalise one image in a hundred each, as ultralytics does when it can"
    )


class TrainingRecipe(Value):
    """Everything that decides what comes out of a training, but the dataset."""

    architecture: str | dict[str, JsonValue] = Field(
        "yolo11n", description="`small` (ours), a network that ultralytics describes, or a model yaml as data"
    )
    image_size: int = Field(640, ge=64, le=2048, multiple_of=32, description="pixels; the side of the square")
    epochs: int = Field(100, ge=1)
    batch: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field(
        16,
        description="images in a step, at most all that there are; auto: 60 % of the accelerator's memory, 16 on a CPU",
    )
    optimizer: Literal["AdamW", "Adam", "SGD", "MuSGD", "auto"] = Field(
        "AdamW",
        description="auto: MuSGD in long trainings (over 10,000 steps), AdamW in others, with a rate that suits",
    )
    lr0: float = Field(0.002, gt=0, lt=1, description="the highest learning rate; not used with the optimizer auto")
    lrf: float = Field(0.01, gt=0, le=1, description="the last learning rate, as a fraction of the highest")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0005, ge=0, lt=1)
    warmup_epochs: float = Field(1.0, ge=0)
    cosine: bool = True
    patience: int = Field(100, ge=1, description="epochs without a better validation before it stops")
    seed: int = Field(0, ge=0)
    amp: Literal["auto", "off", "bf16", "fp16"] = Field(
        "auto", description="mixed precision on accelerators; auto: bf16 where it is known, else fp16. A CPU uses none"
    )
    weights: str | None = Field(None, description="name of imported weights to begin with; null: from scratch")
    freeze: int = Field(0, ge=0, description="so many of the first layers keep the weights that they began with")
    threads: int = Field(1, ge=1, le=64, description="more than one pays only where the cores are idle")
    cache_images: bool = Field(False, description="keep the decoded images in memory")
    on_the_fly: OnTheFly = OnTheFly()

    @field_validator("architecture")
    @classmethod
    def _is_an_architecture(cls, given: str | dict[str, JsonValue]) -> str | dict[str, JsonValue]:
        if isinstance(given, dict):
            check_network(given)
        elif given not in shipped(ARCHITECTURES) and not _is_named(given):
            known = ", ".join(shipped(ARCHITECTURES))
            raise ValueError(
                f"there is no architecture {given!r}; known are {known}, and yolov8, yolo11, yolo12 and yolo26, "
                "each with n, s, m, l or x"
            )
        return given

    @property
    def network(self) -> dict[str, JsonValue] | None:
        """The architecture as data, or None when it is one that ultralytics describes."""
        if isinstance(self.architecture, dict):
            return self.architecture
        path = ARCHITECTURES / f"{self.architecture}.yaml"
        return _read_yaml(path) if path.exists() else None

    @property
    def digest(self) -> str:
        """The recipe's identity: its fields, the network as data, and the versions of the libraries that train."""
        return digest_of([self.model_dump(mode="json"), self.network, versions()])


def shipped(folder: Path) -> list[str]:
    """Return the names of the YAML files in `folder`."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_recipe(name_or_path: str) -> TrainingRecipe:
    """Read a recipe that comes with the trainer by its name, or another by its path (ending in .yaml or .yml).

    Raises Misconfigured, naming the field and its value.
    """
    is_path = name_or_path.endswith((".yaml", ".yml"))
    if not is_path and name_or_path not in shipped(RECIPES):
        raise Misconfigured(
            f"there is no training recipe {name_or_path!r}; known are {', '.join(shipped(RECIPES))}, or give a path"
        )
    path = Path(name_or_path) if is_path else RECIPES / f"{name_or_path}.yaml"
    content = _read_yaml(path)
    _refuse_unknown(path, content, TrainingRecipe, "")
    try:
        return TrainingRecipe.model_validate(content)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors())
        raise Misconfigured(f"the training recipe {path} is wrong:\n  " + "\n  ".join(problems)) from error


def _is_named(name: str) -> bool:
    return re.match(NAMED, name) is not None


def _refuse_unknown(path: Path, content: dict[str, Any], kind: type[Value], where: str) -> None:
    for name, value in content.items():
        if name not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            raise Misconfigured(f"the training recipe {path} sets {where}{name} = {value!r}; known fields are {known}")
        if name == "on_the_fly" and isinstance(value, dict):
            _refuse_unknown(path, value, OnTheFly, "on_the_fly.")


def _read_yaml(path: Path) -> dict[str, JsonValue]:
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Misconfigured(f"the file {path} can't be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise Misconfigured(f"the file {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise Misconfigured(f"the file {path} should hold fields, but holds {content!r}")
    return content
