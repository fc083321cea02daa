"""Looks at an image file. Runs in a child process: a C decoder may crash or hang on what it is given.

Whoever reads the file after us reads it with OpenCV: what is accepted here, OpenCV shows as it was meant
(`tests/images` holds both to it).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from annotation_ingest.images import exif, tiffs
from labelstream import png
from labelstream.events.annotation import Note

FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp", "TIFF": "tiff", "BMP": "bmp"}
RECOGNISED = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "ICO", "PPM", "PSD")  # to name in a refusal
EXTENSIONS = {"jpeg": "jpg"}  # where it is not the format's own name
ACCEPTED = "JPEG, PNG, WebP, TIFF or BMP"
MAX_SIDE = 1 << 20  # pixels, OpenCV's limit
_WEBP_ANIMATED = 0x02  # a flag in the extended header


@dataclass(frozen=True)
class Picture:
    """What an image turned out to be."""

    format: str
    width: int  # pixels, after the EXIF orientation is applied
    height: int
    notes: tuple[Note, ...] = ()

    @property
    def extension(self) -> str:
        """The extension of its file name."""
        return EXTENSIONS.get(self.format, self.format)


@dataclass(frozen=True)
class Refusal:
    """A broken rule, in a form that travels between processes."""

    rule: str
    reason: str
    hint: str


class _Refused(Exception):
    def __init__(self, rule: str, reason: str, hint: str) -> None:
        super().__init__(rule)
        self.refusal = Refusal(rule, reason, hint)


def look(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Decode an image whole, once its header promises no more than `max_pixels`."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    if data.startswith(png.SIGNATURE) and not png.is_whole(data):
        return Refusal("image.undecodable", "the PNG file is cut off or damaged", "Send the whole file.")
    if data[4:8] == b"ftyp":  # the container of HEIC, AVIF and video
        kind = data[8:12].decode("ascii", "replace").strip()
        return Refusal("image.format", f"the image is an ISO media file ({kind!r})", f"Convert it to {ACCEPTED}.")
    try:
        with Image.open(io.BytesIO(data), formats=RECOGNISED) as image:
            return _decoded(image, data, max_pixels)
    except _Refused as refused:
        return refused.refusal
    except MemoryError:
        raise  # whoever set the limit says what it means
    except Exception as error:  # noqa: BLE001 - decoders raise whatever they like; any of it means: not decodable
        unknown = isinstance(error, UnidentifiedImageError)
        fault = "no image format is recognised" if unknown else "it is cut short or damaged"
        reason = f"the image ({len(data)} bytes) can't be decoded: {fault}"
        return Refusal("image.undecodable", reason, f"Send a whole {ACCEPTED} file.")


def _decoded(image: Image.Image, data: bytes, max_pixels: int) -> Picture:
    kind = image.format or ""
    if kind not in FORMATS:
        _check_one_picture(image, data)
        raise _Refused("image.format", f"the image is a {kind} file", f"Convert it to {ACCEPTED}.")
    tiff = tiffs.describe(getattr(image, "tag_v2", {})) if kind == "TIFF" else None
    _check_size(*(image.size if tiff is None else (tiff.width, tiff.height)), max_pixels)
    if tiff is not None:
        _check_tiff(tiff, max_pixels)
    _check_one_picture(image, data)
    if kind in {"JPEG", "MPO"} and image.mode == "CMYK" and "adobe" not in image.info:
        raise _strange("a CMYK JPEG file without Adobe's marker: nobody can tell ink from its absence")
    width, height = image.size if tiff is None else (tiff.width, tiff.height)
    image.load()
    if tiff is not None and tiff.may_hide and _is_transparent(image):
        raise _strange("a TIFF file with transparency")
    orientation = _orientation(image, data)
    if orientation in exif.TRANSPOSED:
        width, height = height, width
    return Picture(FORMATS[kind], width, height, _notes(image, data, tiff))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise _Refused(
            "image.pixels",
            f"the image has {width} x {height} pixels, {max_pixels} are allowed, and {MAX_SIDE} on one side",
            "Scale it down or cut it into tiles.",
        )


def _check_tiff(tiff: tiffs.Tiff, max_pixels: int) -> None:
    if tiff.tile is not None:
        _check_size(*tiff.tile, max_pixels)
    strange = tiff.strange()
    if strange is not None:
        raise _strange(f"a TIFF file that {strange}")


def _check_one_picture(image: Image.Image, data: bytes) -> None:
    if _has_several(image, data):
        raise _Refused(
            "image.animated",
            f"the {image.format} file holds more than one picture",
            "Send each picture as an image of its own, with one medium.",
        )


def _has_several(image: Image.Image, data: bytes) -> bool:
    match image.format:
        case "PNG":
            return b"acTL" in png.chunks(data)
        case "WEBP":
            return data[12:16] == b"VP8X" and bool(data[20] & _WEBP_ANIMATED)
        case "TIFF":
            return tiffs.has_pages(data)
        case "GIF":
            return getattr(image, "n_frames", 1) > 1
        case _:  # a camera's JPEG (MPO) may hold previews behind the picture that everybody shows
            return False


def _orientation(image: Image.Image, data: bytes) -> int:
    """Return the orientation of a decoded image: from EXIF alone, as browsers and OpenCV have it, and not from XMP."""
    block = data if image.format == "TIFF" else image.info.get("exif")  # EXIF is the directory of a TIFF file
    try:
        if image.format == "PNG" and list(png.chunks(data)).count(b"eXIf") > 1:
            raise exif.Ambiguous("it has EXIF data twice")
        return exif.orientation(block) if block else 1
    except exif.Ambiguous as error:
        raise _strange(f"a {image.format} file whose orientation is unclear: {error}") from error


def _strange(what: str) -> _Refused:
    return _Refused(
        "image.format",
        f"the image is {what}",
        f"Save it anew, upright and without transparency, as an RGB or grey {ACCEPTED} file with 8 bits a channel.",
    )


def _notes(image: Image.Image, data: bytes, tiff: tiffs.Tiff | None) -> tuple[Note, ...]:
    notes: list[Note] = []
    if image.mode == "CMYK":
        notes.append(Note(rule="image.cmyk", reason="the image is CMYK: its colours are approximated in RGB"))
    deep = tiff.bits[0] > 8 if tiff is not None else image.format == "PNG" and png.depth(data) > 8
    if deep:
        notes.append(Note(rule="image.deep", reason="the image has 16 bits a channel: they are scaled down to 8"))
    if _is_transparent(image):
        notes.append(Note(rule="image.transparent", reason="the image is transparent in places: that is ignored"))
    return tuple(notes)


def _is_transparent(image: Image.Image) -> bool:
    if "A" not in image.getbands():
        return "transparency" in image.info
    least, _ = image.getchannel("A").getextrema()
    return isinstance(least, (int, float)) and least < 255
