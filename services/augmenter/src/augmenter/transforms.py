"""What a recipe can do to an image: each kind of transform, as data."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_Pair = tuple[float, float]


class Data(BaseModel):
    """Part of a recipe: it never changes, and has no field that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _ordered(pair: _Pair) -> _Pair:
    if pair[0] > pair[1]:
        raise ValueError(f"must be a range, the smaller first: [{pair[1]:g}, {pair[0]:g}]")
    return pair


def _odd(pair: tuple[int, int]) -> tuple[int, int]:
    if not all(value % 2 for value in pair):
        raise ValueError("must be odd numbers")
    return pair


Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
Zoom = Annotated[float, Field(strict=True, ge=0.1, le=10)]
Level = Annotated[int, Field(strict=True, ge=0, le=255)]
Quality = Annotated[int, Field(strict=True, ge=1, le=100)]
Pixels = Annotated[int, Field(strict=True, ge=3, le=31)]
Sigma = Annotated[float, Field(strict=True, ge=0, le=64)]

Fractions = Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)]  # a value is drawn between the two
Zooms = Annotated[tuple[Zoom, Zoom], AfterValidator(_ordered)]
Qualities = Annotated[tuple[Quality, Quality], AfterValidator(_ordered)]
OddPixels = Annotated[tuple[Pixels, Pixels], AfterValidator(_ordered), AfterValidator(_odd)]
Sigmas = Annotated[tuple[Sigma, Sigma], AfterValidator(_ordered)]


class _Transform(Data):
    p: Fraction = Field(description="probability that a variant gets it")


class Flip(_Transform):
    """Mirror left and right, or (seen from above, where no side is up) top and bottom."""

    kind: Literal["flip"]
    axis: Literal["horizontal", "vertical"] = "horizontal"


class Affine(_Transform):
    """Zoom, rotate and shear around the centre, and shift; what comes in from outside is black.

    What is inside a box is not known, only that it touches all four sides. Its corners, turned by 35°,
    span up to 1.4 times the box's side; an ellipse in the box spans what most things do. Loose boxes teach
    a detector to draw loose boxes.
    """

    kind: Literal["affine"]
    scale: Zooms = (0.8, 1.2)
    rotate_deg: float = Field(35, strict=True, ge=0, le=180, description="at most so far, either way")
    shear_deg: float = Field(10, strict=True, ge=0, le=45, description="at most so far, along each axis")
    shift: Fraction = Field(0.0, description="at most so far, of the image's side")
    boxes_around: Literal["ellipse", "corners"] = Field(
        "ellipse", description="what of a box its new box is put around"
    )


class BrightnessContrast(_Transform):
    """Brighter or darker, harder or softer, by at most these fractions."""

    kind: Literal["brightness_contrast"]
    brightness: Fraction = 0.2
    contrast: Fraction = 0.2


class HueSaturation(_Transform):
    """Shift hue, saturation and value by at most this much (of 180, 255 and 255)."""

    kind: Literal["hue_saturation"]
    hue: int = Field(20, strict=True, ge=0, le=180)
    saturation: Level = 30
    value: Level = 20


class MotionBlur(_Transform):
    """Smear along a line of this many pixels (odd numbers)."""

    kind: Literal["motion_blur"]
    pixels: OddPixels = (3, 7)


class Noise(_Transform):
    """Add a sensor's noise, of this deviation (of 255)."""

    kind: Literal["noise"]
    sigma: Sigmas = (4, 16)


class Compression(_Transform):
    """Let the marks of a poor JPEG quality show."""

    kind: Literal["compression"]
    quality: Qualities = (30, 70)


class Shadow(_Transform):
    """Darken a part of the image, as a cloud or a building does."""

    kind: Literal["shadow"]
    strength: Fractions = (0.3, 0.6)


class Glare(_Transform):
    """Let a low sun shine into the lens."""

    kind: Literal["glare"]
    strength: Fractions = (0.3, 0.7)


class Rain(_Transform):
    """Streaks of rain under a grey sky."""

    kind: Literal["rain"]
    fall: Literal["drizzle", "heavy", "torrential"] = "heavy"
    slant_px: float = Field(
        10,
        strict=True,
        ge=0,
        le=20,
        description="on an image 720 pixels high, whose streaks are 90 long, one leans at most so far; it scales",
    )
    light: float = Field(0.8, strict=True, gt=0, le=1, description="share of the light that is left")


class Snow(_Transform):
    """Snow on the ground, where the image is bright, and flakes in the air."""

    kind: Literal["snow"]
    cover: Fractions = Field((0.3, 0.7), description="share of the image that it lies on")
    flakes: Fractions = Field((0.1, 0.6), description="how hard it snows")


class Fog(_Transform):
    """Fog in banks, often denser at the top, where things are far away."""

    kind: Literal["fog"]
    density: Fractions = (0.3, 0.7)


class Night(_Transform):
    """Little light, most of it blue, a lamp somewhere, and a sensor's noise (its deviation, of 255)."""

    kind: Literal["night"]
    darkness: Fractions = (0.35, 0.65)
    noise: Sigmas = (2, 7)


_Kind = (
    Flip
    | Affine
    | BrightnessContrast
    | HueSaturation
    | MotionBlur
    | Noise
    | Compression
    | Shadow
    | Glare
    | Rain
    | Snow
    | Fog
    | Night
)
Transform = Annotated[_Kind, Field(discriminator="kind")]

KINDS: tuple[type[_Transform], ...] = get_args(_Kind)


def kind_of(transform: type[_Transform]) -> str:
    """Return what a recipe calls a transform."""
    return str(get_args(transform.model_fields["kind"].annotation)[0])
