"""What a network is, as data: enough to build it and to read its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from labelstream.values import Task, Value

SECTIONS = ("backbone", "head")


class Architecture(Value):
    """A network and how its input and output are meant; travels beside the weights as JSON."""

    model: dict[str, JsonValue] = Field(description="the network as ultralytics writes it in its model yaml")
    image_size: int = Field(description="pixels; the side of the square that an image is letterboxed into")
    names: tuple[str, ...] = Field(description="the classes, by id")
    task: Task = "detect"
    input: Literal["float32-nchw-rgb-0-1"] = "float32-nchw-rgb-0-1"
    versions: dict[str, str] = Field(default_factory=dict, description="of the libraries that trained it")

    @field_validator("model")
    @classmethod
    def _is_a_network(cls, model: dict[str, JsonValue]) -> dict[str, JsonValue]:
        check_network(model)
        return model


def check_network(model: dict[str, Any]) -> None:
    """Raise ValueError when `model` is not a list of layers in each section, or holds code.

    `activation` is refused because it would be evaluated as Python.
    """
    if "activation" in model:
        raise ValueError("a network's 'activation' is evaluated as code; leave it out")
    for section in SECTIONS:
        layers = model.get(section)
        if not isinstance(layers, list) or not layers:
            raise ValueError(f"a network needs a list of layers under {section!r}")
        for layer in layers:
            if not isinstance(layer, list) or len(layer) != 4 or not isinstance(layer[2], str):
                raise ValueError(f"a layer is [from, repeats, module, arguments]; {section!r} holds {layer!r}")


def read_architecture(path: Path) -> Architecture:
    """Read what `Architecture.model_dump_json` wrote."""
    return Architecture.model_validate_json(path.read_bytes())
