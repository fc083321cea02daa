"""A recipe: how the variants of an image are made, as data."""

from __future__ import annotations

import functools
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from labelstream.errors import Misconfigured
from labelstream.values import digest_of

# The libraries whose versions decide pixels.
LIBRARIES = ("albumentations", "albucore", "numpy", "opencv-python-headless", "simplejpeg")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Transform(_Data):
    p: float = Field(ge=0, le=1, description="probability that a variant gets it")


class Flip(_Transform):
    """Mirror left and right."""

    kind: Literal["flip"]


class BrightnessContrast(_Transform):
    """Brighter or darker, harder or softer, by at most these fractions."""

    kind: Literal["brightness_contrast"]
    brightness: float = Field(0.2, ge=0, le=1)
    contrast: float = Field(0.2, ge=0, le=1)


class Affine(_Transform):
    """Zoom, rotate and shear around the centre; what comes in from outside is black.

    What is inside a box is not known, only that it touches all four sides. Its corners, turned by 35°,
    span up to 1.4 times the box's side; an ellipse in the box spans what most things do. Loose boxes teach
    a detector to draw loose boxes.
    """

    kind: Literal["affine"]
    scale: tuple[float, float] = (0.8, 1.2)
    rotate_deg: float = Field(35, ge=0, le=180)
    shear_deg: float = Field(10, ge=0, le=45)
    boxes_around: Literal["ellipse", "corners"] = "ellipse"

    @field_validator("scale")
    @classmethod
    def _scale_is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be a range of positive numbers, the smaller first")
        return value


class MotionBlur(_Transform):
    """Smear along a line of this many pixels (odd numbers)."""

    kind: Literal["motion_blur"]
    pixels: tuple[int, int] = (3, 7)

    @field_validator("pixels")
    @classmethod
    def _pixels_are_odd(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 3 <= value[0] <= value[1] or not all(v % 2 for v in value):
            raise ValueError("must be a range of odd numbers from 3, the smaller first")
        return value


class HueSaturation(_Transform):
    """Shift hue, saturation and value by at most this much (of 180, 255 and 255)."""

    kind: Literal["hue_saturation"]
    hue: int = Field(20, ge=0, le=180)
    saturation: int = Field(30, ge=0, le=255)
    value: int = Field(20, ge=0, le=255)


Transform = Annotated[Flip | BrightnessContrast | Affine | MotionBlur | HueSaturation, Field(discriminator="kind")]


class Recipe(_Data):
    """What is done to each image, in order, and how the results are stored."""

    name: str
    variants: int = Field(7, ge=0, le=99, description="beside the original, which is variant 0")
    jpeg_quality: int = Field(92, ge=1, le=100)
    min_box_area_percent: float = Field(0.01, ge=0, le=100, description="a smaller box leaves a variant")
    transforms: tuple[Transform, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """The recipe's identity: what it says, and the libraries that decide what its words mean in pixels."""
        return digest_of([self.model_dump(mode="json"), {name: metadata.version(name) for name in LIBRARIES}])


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: a shipped one by its name, or a YAML file by its path.

    Raises Misconfigured with one line for each fault: file, line and field.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        file, text = name_or_path, _read(Path(name_or_path))
    else:
        shipped = resources.files("augmenter").joinpath("recipes", f"{name_or_path}.yaml")
        if not shipped.is_file():
            raise Misconfigured(f"there is no shipped recipe {name_or_path!r}; name a .yaml file, or 'default'")
        file, text = f"recipe {name_or_path}", shipped.read_text()
    return parse_recipe(text, file)


def parse_recipe(text: str, file: str) -> Recipe:
    """Read a recipe from its YAML text; `file` names it in errors. Raises Misconfigured."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misconfigured(f"{file}:{line}: this is not YAML: {error.problem}") from error
    if root is None or not isinstance(data, dict):
        raise Misconfigured(f"{file}:1: a recipe is a mapping with name, variants and transforms")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        faults = [f"{file}:{_line(root, e['loc'])}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise Misconfigured("\n".join(faults)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise Misconfigured(f"the recipe {path} can't be read: {error.strerror}") from error


def _line(node: yaml.Node, loc: tuple[int | str, ...]) -> int:
    """Return the line of the deepest node that `loc` leads to."""
    line = int(node.start_mark.line) + 1
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == step), None)
            if found is None:
                continue  # a missing key, or pydantic's name of the chosen kind
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
