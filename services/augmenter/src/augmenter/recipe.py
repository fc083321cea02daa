"""A recipe: how the variants of an image are made, as data."""

from __future__ import annotations

import functools
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StringConstraints, model_validator

from augmenter.recipe_file import FaultAt, read_yaml, validated
from augmenter.transforms import KINDS, Data, Fraction, Quality, Transform, kind_of
from labelstream.errors import Misconfigured
from labelstream.values import digest_of

# The libraries whose versions decide pixels.
LIBRARIES = ("albumentations", "albucore", "numpy", "opencv-python-headless", "simplejpeg")
PIXELS = 1  # raised when our own code (composing, light, weather) gives other pixels for the same words

MOST_VARIANTS = 99

Name = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=100)]


class Group(Data):
    """Variants that are made in the same way."""

    count: int = Field(strict=True, ge=1, le=MOST_VARIANTS, description="how many variants")
    mode: Name | None = Field(
        None,
        description="the mode of the classes on them, such as Wint or Night: with follow_modes, Truck → Truck(Wint)",
    )
    transforms: tuple[Transform, ...] = Field((), description="each is drawn for each variant, in this order")


class Recipe(Data):
    """What is done to each image, and how the results are stored."""

    name: Name
    description: str = Field("", strict=True, description="what it is for; no part of what the recipe is")
    jpeg_quality: Quality = 92
    jpeg_subsampling: Literal[444, 422, 420] = Field(420, description="of colours; 444 keeps them all, for more bytes")
    min_box_area_percent: float = Field(
        0.01, strict=True, ge=0, le=100, description="of the image; a smaller box leaves a variant"
    )
    min_box_side: Fraction = Field(0.0, description="of the image's side; a box with a shorter one leaves a variant")
    min_box_visible: Fraction = Field(
        0.0, description="of the box; one of which the image's border leaves less leaves a variant"
    )
    follow_modes: StrictBool = Field(False, description="give the classes on a variant the mode of its group")
    variants: tuple[Group, ...] = Field(description="beside the original, which is variant 0")

    @model_validator(mode="after")
    def _modes_are_followed(self) -> Self:
        said = {number: group.mode for number, group in enumerate(self.variants) if group.mode is not None}
        if said and not self.follow_modes:
            number, mode = next(iter(said.items()))
            reason = f"the mode {mode!r} has no effect: add `follow_modes: true`, or leave the mode out"
            raise FaultAt(("variants", number, "mode"), reason)
        if self.follow_modes and not said:
            raise FaultAt(("follow_modes",), "follow_modes has no effect: no group of variants has a mode")
        return self

    @model_validator(mode="after")
    def _are_not_too_many(self) -> Self:
        if self.count > MOST_VARIANTS:
            reason = f"{self.count} variants are too many: at most {MOST_VARIANTS} besides the original"
            raise FaultAt(("variants",), reason)
        return self

    @property
    def count(self) -> int:
        """How many variants it makes, besides the original."""
        return sum(group.count for group in self.variants)

    @functools.cached_property
    def digest(self) -> str:
        """The recipe's identity: what it says, and the code and libraries that decide what its words mean in pixels."""
        versions = {name: metadata.version(name) for name in LIBRARIES}
        return digest_of([self.model_dump(mode="json", exclude={"description"}), PIXELS, versions])


def shipped() -> tuple[str, ...]:
    """Return the names of the recipes that come with the augmenter, the default first."""
    names = sorted(Path(file.name).stem for file in resources.files("augmenter").joinpath("recipes").iterdir())
    return ("default", *(name for name in names if name != "default"))


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: a shipped one by its name, or a YAML file by its path.

    Raises Misconfigured with one line for each fault: file, line, field, and what would do.
    """
    shown = name_or_path if _is_file(name_or_path) else f"recipe {name_or_path}"
    return parse_recipe(recipe_text(name_or_path), shown)


def recipe_text(name_or_path: str) -> str:
    """Return a recipe as it was written. Raises Misconfigured."""
    if _is_file(name_or_path):
        return _read(Path(name_or_path))
    if name_or_path not in shipped():
        raise Misconfigured(f"there is no recipe {name_or_path!r}: name a .yaml file, or one of {', '.join(shipped())}")
    return resources.files("augmenter").joinpath("recipes", f"{name_or_path}.yaml").read_text("utf-8")


def _is_file(name_or_path: str) -> bool:
    return name_or_path.endswith((".yaml", ".yml"))


def parse_recipe(text: str, file: str) -> Recipe:
    """Read a recipe from its YAML text; `file` names it in errors. Raises Misconfigured."""
    return validated(Recipe, read_yaml(text, file, "a recipe is a mapping with name and variants"), _fields_beside)


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the fields of the part of a recipe that `location` (of a field in it) is in."""
    if "transforms" in location[:-1]:
        kind = location[location.index("transforms") + 2]
        return list(next(one for one in KINDS if kind_of(one) == kind).model_fields)
    return list((Group if "variants" in location[:-1] else Recipe).model_fields)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"the recipe {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"the recipe {path} can't be read: it is not UTF-8 text") from error
