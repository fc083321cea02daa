"""The native bodies: the fields of each native message, and what they may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictBytes,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from labelstream.values import Split
from labelstream.wire.limits import MAX_BOXES, MAX_CLASS, MAX_KEY, MAX_NAMES, MAX_TAG, MAX_TAGS, MAX_TEXT
from labelstream.wire.submission import Kind

Name = Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT)]
Tag = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_TAG)]
ClassName = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_CLASS)]
Key = Annotated[StrictStr, Field(min_length=1, max_length=MAX_KEY)]
Hex256 = Annotated[StrictStr, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
# JSON has no bytes: the schema says what stands in the MessagePack body.
Binary = Annotated[StrictBytes, WithJsonSchema({"type": "string", "format": "binary", "title": "MessagePack bin"})]


def _only_one(*fields: str) -> dict[str, Any]:
    return {"not": {"required": list(fields)}}


def _exactly_one(*fields: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [field]} for field in fields]}


class Body(BaseModel):
    """A native body; unknown fields are ignored, because fields are only ever added."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    producer: StrictStr | None = Field(None, description="who made it; only a keyed hash is kept")


class NativeBox(BaseModel):
    """A box: centre and size as fractions of the image's width and height."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    cls: StrictInt | StrictStr = Field(
        alias="class", description="a class id, or a class name (in any case) of the project's schema"
    )
    x: StrictFloat = Field(description="of the centre, from the left: 0 to 1")
    y: StrictFloat = Field(description="of the centre, from the top: 0 to 1")
    w: StrictFloat = Field(description="width, 0 to 1")
    h: StrictFloat = Field(description="height, 0 to 1")
    confidence: StrictFloat | None = Field(None, description="of the model that drew it, 0 to 1")


class NativeImageReference(BaseModel):
    """An image file that its producer put into the incoming bucket before it sent the message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: Key = Field(description="begins with the input stream's own prefix, `<stream>/` by default; no URL")
    sha256: Hex256 = Field(description="of the file: 64 hexadecimal digits")


class NativeAnnotation(Body):
    """An annotation: an image, the boxes on it, and what is known of them."""

    model_config = ConfigDict(json_schema_extra=_only_one("image", "image_ref"))

    name: Name = Field(description=f"the annotation's identity in its project: 1 to {MAX_TEXT} characters")
    image: Binary | None = Field(
        None, description="the image file as MessagePack bin: JPEG, PNG, WebP, TIFF or BMP, as it is"
    )
    image_ref: NativeImageReference | None = Field(
        None, description="in place of `image`: where the file lies. Recommended"
    )
    medium: Name | None = Field(None, description="the photo or video that the image came from; default: the name")
    split: Split | None = Field(None, description="the split that was published for the medium, if any")
    boxes: list[NativeBox] = Field(default_factory=list, max_length=MAX_BOXES, description=f"{MAX_BOXES} at most")
    tags: list[Tag] = Field(
        default_factory=list,
        max_length=MAX_TAGS,
        description=f"free words: {MAX_TAGS} at most, of 1 to {MAX_TAG} characters; kept once each, sorted",
    )
    validated: StrictBool = Field(
        True,
        description="whether it counts as checked: an edit that says nothing validates too, and one that says false "
        "takes a validation back. From an input that may not validate it counts as false",
    )
    source: Literal["manual", "ai"] = Field("manual", description="who drew the boxes")

    @model_validator(mode="after")
    def _one_image(self) -> NativeAnnotation:
        if self.image is not None and self.image_ref is not None:
            raise ValueError("image and image_ref exclude each other")
        return self


class NativeBulk(Body):
    """A list of annotations."""

    names: list[Name] = Field(min_length=1, max_length=MAX_NAMES, description=f"1 to {MAX_NAMES} annotations")


class NativeClassSchema(Body):
    """The project's class schema from this message on; it only adds classes to the one before."""

    name: Name = Field(description="the schema's name")
    classes: list[ClassName] = Field(
        min_length=1,
        max_length=MAX_NAMES,
        description=f"every class in the order of its id: the known ones as they are, then the new ones; "
        f"{MAX_CLASS} characters each",
    )
    version: StrictInt = Field(1, ge=1, lt=1 << 31, description="the schema's version, from 1")


class NativeErasure(Body):
    """What is to be erased: annotations, or all annotations of a medium. One of the two."""

    model_config = ConfigDict(json_schema_extra=_exactly_one("names", "medium"))

    names: list[Name] | None = Field(
        None, min_length=1, max_length=MAX_NAMES, description=f"1 to {MAX_NAMES} annotations"
    )
    medium: Name | None = Field(None, description="the medium")

    @model_validator(mode="after")
    def _one_of_both(self) -> NativeErasure:
        if (self.names is None) == (self.medium is None):
            raise ValueError("exactly one of names and medium is to be given")
        return self


KINDS: dict[str, Kind] = {
    "annotation.submitted": "created",
    "annotation.edited": "edited",
    "annotation.validated": "validated",
    "annotation.deleted": "deleted",
    "class_schema.changed": "schema_changed",
    "annotation.erasure_requested": "erased",
}
TYPES: dict[Kind, str] = {kind: name for name, kind in KINDS.items()}
BODIES: dict[str, type[Body]] = {
    "annotation.submitted": NativeAnnotation,
    "annotation.edited": NativeAnnotation,
    "annotation.validated": NativeBulk,
    "annotation.deleted": NativeBulk,
    "class_schema.changed": NativeClassSchema,
    "annotation.erasure_requested": NativeErasure,
}
