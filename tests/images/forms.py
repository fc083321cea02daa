"""One picture, drawn by code, in the many forms of the five formats."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from .tiff_writer import Pixels, write_tiff

WIDTH, HEIGHT = 48, 32
SPARSE = "image.transparent"


def draw() -> Pixels:
    """Draw four fields of different colours: (HEIGHT, WIDTH, 3) RGB."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:16, :16], pixels[:16, 16:] = (220, 40, 30), (30, 200, 60)
    pixels[16:, :16], pixels[16:, 16:] = (40, 60, 210), (230, 220, 40)
    return pixels


SCENE = draw()
RGB = Image.fromarray(SCENE)
GREY = RGB.convert("L")
GREYS = np.dstack([np.asarray(GREY)] * 3)
BILEVEL = Image.fromarray(np.asarray(GREY) > 100)
BLACK_WHITE = np.dstack([np.asarray(BILEVEL).astype(np.uint8) * 255] * 3)
INK = RGB.convert("CMYK")


@dataclass(frozen=True)
class Form:
    """A file, what it shows, and what ingest notes about it."""

    data: bytes
    shows: Pixels  # (HEIGHT, WIDTH, 3) RGB
    notes: tuple[str, ...] = ()
    within: int = 0  # of each pixel's value, where the format loses some


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def see_through(image: Image.Image, alpha: int = 128) -> Image.Image:
    """Return a copy whose upper half has this alpha."""
    copy = image.copy()
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:16] = alpha
    copy.putalpha(Image.fromarray(mask))
    return copy


def several(kind: str, **options: Any) -> bytes:
    """Return a file with a second picture."""
    return save(RGB, kind, save_all=True, append_images=[RGB.transpose(Image.Transpose.FLIP_LEFT_RIGHT)], **options)


def png(pixels: Pixels, colour: int, bits: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG file by hand; `pixels` (h, w, channels) are whole numbers, `colour` is PNG's colour type."""
    rows = pixels.reshape(pixels.shape[0], -1)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    elif bits == 8:
        lines = [row.astype(np.uint8).tobytes() for row in rows]
    else:
        digits = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        lines = [np.packbits(line).tobytes() for line in digits.reshape(rows.shape[0], -1).astype(np.uint8)]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def scaled(pixels: Pixels, bits: int) -> Pixels:
    """Return 8-bit values at another depth."""
    return (pixels.astype(int) * ((1 << bits) - 1) + 127) // 255


def shown(values: Pixels, bits: int) -> Pixels:
    """Return values of another depth in 8 bits, three channels."""
    back = (values * 255 // ((1 << bits) - 1)).astype(np.uint8)
    return np.dstack([back] * 3) if back.shape[2] == 1 else back


def with_adobe_transform(jpeg: bytes, transform: int | None) -> bytes:
    """Say in Adobe's marker how the colours are coded (2: YCCK), or take the marker out."""
    at = jpeg.index(b"\xff\xee")
    if transform is None:
        return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]
    return jpeg[: at + 15] + bytes([transform]) + jpeg[at + 16 :]


def ycck() -> bytes:
    """Return a JPEG file of luma, chroma and black, as Photoshop writes it."""
    ink = np.asarray(INK)  # (h, w, 4); the library inverts on writing, as Adobe does
    luma = np.asarray(Image.fromarray(ink[..., :3]).convert("YCbCr"))
    planes = np.dstack([255 - luma, ink[..., 3:]])
    return with_adobe_transform(save(Image.fromarray(planes, "CMYK"), "JPEG", quality=98), 2)


def _jpegs() -> dict[str, Form]:
    return {
        "jpeg": Form(save(RGB, "JPEG", quality=98, subsampling=0), SCENE, within=4),
        "jpeg progressive": Form(save(RGB, "JPEG", quality=98, subsampling=0, progressive=True), SCENE, within=4),
        "jpeg grey": Form(save(GREY, "JPEG", quality=98), GREYS, within=4),
        "jpeg cmyk": Form(save(INK, "JPEG", quality=98), SCENE, ("image.cmyk",), 4),
        "jpeg ycck": Form(ycck(), SCENE, ("image.cmyk",), 6),
        "jpeg of a camera with a preview": Form(several("MPO", quality=98, subsampling=0), SCENE, within=4),
    }


def _pngs() -> dict[str, Form]:
    grey, colours = np.asarray(GREY)[..., None], SCENE.astype(int)
    palette = RGB.quantize(4)
    forms = {
        "png": Form(save(RGB, "PNG"), SCENE),
        "png palette": Form(save(palette, "PNG"), SCENE),
        "png palette with transparency": Form(save(palette, "PNG", transparency=b"\0\x80"), SCENE, (SPARSE,)),
        "png rgba": Form(save(see_through(RGB), "PNG"), SCENE, (SPARSE,)),
        "png rgba opaque": Form(save(see_through(RGB, 255), "PNG"), SCENE),
        "png grey with alpha": Form(save(see_through(GREY), "PNG"), GREYS, (SPARSE,)),
        "png with a transparent colour": Form(save(RGB, "PNG", transparency=(220, 40, 30)), SCENE, (SPARSE,)),
        "png with a gamma": Form(png(colours, 2, 8, (b"gAMA", struct.pack(">I", 100_000))), SCENE),
        "png 16 bits rgb": Form(png(colours * 257, 2, 16), SCENE, ("image.deep",)),
        "png 16 bits rgba": Form(
            png(np.dstack([colours, np.full((HEIGHT, WIDTH), 255)]) * 257, 6, 16), SCENE, ("image.deep",)
        ),
        "png 16 bits grey with alpha": Form(
            png(np.dstack([grey, np.full((HEIGHT, WIDTH), 255)]).astype(int) * 257, 4, 16), GREYS, ("image.deep",)
        ),
    }
    for bits in (1, 2, 4, 8, 16):
        values = scaled(grey, bits)
        notes = ("image.deep",) if bits == 16 else ()
        forms[f"png grey of {bits} bits"] = Form(png(values, 0, bits), shown(values, bits), notes)
    return forms


def _webps_and_bmps() -> dict[str, Form]:
    palette = RGB.quantize(4)
    return {
        "webp": Form(save(RGB, "WEBP", quality=100), SCENE, within=130),  # it halves colour's resolution at the seams
        "webp lossless": Form(save(RGB, "WEBP", lossless=True), SCENE),
        "webp with alpha": Form(save(see_through(RGB), "WEBP", lossless=True), SCENE, (SPARSE,)),
        "bmp": Form(save(RGB, "BMP"), SCENE),
        "bmp grey": Form(save(GREY, "BMP"), GREYS),
        "bmp palette": Form(save(palette, "BMP"), SCENE),
        "bmp of two colours": Form(save(BILEVEL, "BMP"), BLACK_WHITE),
        "bmp of 32 bits": Form(save(see_through(RGB, 255), "BMP"), SCENE),
    }


def _tiffs() -> dict[str, Form]:
    grey, colours, ink = np.asarray(GREY)[..., None], SCENE.astype(int), np.asarray(INK)
    opaque = np.dstack([colours, np.full((HEIGHT, WIDTH), 255)])
    forms = {
        "tiff palette": Form(save(RGB.quantize(4), "TIFF"), SCENE),
        "tiff ycbcr": Form(save(RGB.convert("YCbCr"), "TIFF"), SCENE, within=3),
        "tiff group 4": Form(save(BILEVEL, "TIFF", compression="group4"), BLACK_WHITE),
        "tiff jpeg": Form(save(RGB, "TIFF", compression="jpeg", quality=98), SCENE, within=4),
        "tiff grey with alpha": Form(save(see_through(GREY), "TIFF"), GREYS, (SPARSE,)),
        "tiff with smaller versions": Form(with_smaller_version(), SCENE),
    }
    for how in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"):
        forms[f"tiff {how}"] = Form(save(RGB, "TIFF", compression=how), SCENE)
        forms[f"tiff cmyk {how}"] = Form(save(INK, "TIFF", compression=how), SCENE, ("image.cmyk",))
    for order, end in (("<", "little"), (">", "big")):
        for bits in (1, 8, 16):
            values = scaled(grey, bits)
            notes = ("image.deep",) if bits == 16 else ()
            most = (1 << bits) - 1
            name = f"tiff {end} endian of {bits} bits"
            forms[f"{name}, black is 0"] = Form(write_tiff(values, 1, bits, order=order), shown(values, bits), notes)
            if (bits, order) != (16, ">"):
                white = write_tiff(most - values, 0, bits, order=order)
                forms[f"{name}, white is 0"] = Form(white, shown(values, bits), notes)
        for planes in (False, True):
            name = f"tiff {end} endian {'in planes' if planes else 'in pixels'}"
            deep = write_tiff(colours * 257, 2, 16, order=order, planes=planes)
            forms[f"{name} of 16 bits"] = Form(deep, SCENE, ("image.deep",))
            forms[name] = Form(write_tiff(colours, 2, order=order, planes=planes), SCENE)
            forms[f"{name} cmyk"] = Form(write_tiff(ink, 5, order=order, planes=planes), SCENE, ("image.cmyk",))
            forms[f"{name} in tiles"] = Form(write_tiff(colours, 2, order=order, planes=planes, tile=64), SCENE)
        for extra in (0, 1, 2):
            forms[f"tiff {end} endian, opaque fourth channel {extra}"] = Form(
                write_tiff(opaque, 2, order=order, tags={338: [extra]}), SCENE
            )
    return forms


def with_smaller_version() -> bytes:
    """Return a TIFF file with an overview, as maps have them."""
    first, second = save(RGB, "TIFF"), save(RGB.resize((24, 16)), "TIFF", tiffinfo={254: 1})
    return joined(first, second)


def joined(first: bytes, second: bytes) -> bytes:
    """Append a second page, with its offsets moved, to a little-endian TIFF file."""
    first += bytes(len(first) % 2)
    (start,) = struct.unpack_from("<I", second, 4)
    (count,) = struct.unpack_from("<H", second, start)
    moved = bytearray(second)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, many, value = struct.unpack_from("<HHII", second, entry)
        if tag == 273 or sizes[kind] * many > 4:
            struct.pack_into("<I", moved, entry + 8, value + len(first))
    (ifd,) = struct.unpack_from("<I", first, 4)
    (entries,) = struct.unpack_from("<H", first, ifd)
    whole = bytearray(first + bytes(moved))
    struct.pack_into("<I", whole, ifd + 2 + 12 * entries, len(first) + start)
    return bytes(whole)


def accepted() -> dict[str, Form]:
    """Return the forms that are taken, by their names."""
    return {**_jpegs(), **_pngs(), **_webps_and_bmps(), **_tiffs()}


def refused() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Return the forms that are refused: the rule, and how to make the file."""
    grey, colours = np.asarray(GREY)[..., None].astype(int), SCENE.astype(int)
    half = np.dstack([colours, np.full((HEIGHT, WIDTH), 128)])
    two = np.dstack([grey, grey])
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return {
        "jpeg cmyk without Adobe's marker": ("image.format", lambda: with_adobe_transform(save(INK, "JPEG"), None)),
        "apng": ("image.animated", lambda: several("PNG")),
        "webp animation": ("image.animated", lambda: several("WEBP")),
        "gif": ("image.format", lambda: save(RGB, "GIF")),
        "gif animation": ("image.animated", lambda: several("GIF")),
        "jpeg 2000": ("image.format", lambda: save(RGB, "JPEG2000")),
        "heic": ("image.format", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        "tiff of two pages": ("image.animated", lambda: several("TIFF")),
        "tiff half transparent": ("image.format", lambda: save(see_through(RGB), "TIFF")),
        "tiff half transparent, premultiplied": ("image.format", lambda: write_tiff(half, 2, tags={338: [1]})),
        "tiff half transparent of 16 bits": ("image.format", lambda: write_tiff(half * 257, 2, 16, tags={338: [2]})),
        "tiff with alpha in a plane": ("image.format", lambda: write_tiff(half, 2, planes=True, tags={338: [2]})),
        "tiff lab": ("image.format", lambda: save(ImageCms.applyTransform(RGB, lab), "TIFF")),
        "tiff of floats": ("image.format", lambda: write_tiff(grey / 255, 1, 32, floats=True)),
        "tiff of 32 bits": ("image.format", lambda: save(Image.fromarray(grey[..., 0].astype(np.int32)), "TIFF")),
        "tiff of signed values": ("image.format", lambda: write_tiff(grey * 100, 1, 16, tags={339: [2]})),
        "tiff grey of 2 bits": ("image.format", lambda: write_tiff(scaled(grey, 2), 1, 2)),
        "tiff grey of 4 bits": ("image.format", lambda: write_tiff(scaled(grey, 4), 1, 4)),
        "tiff cmyk of 16 bits": ("image.format", lambda: write_tiff(np.asarray(INK).astype(int) * 257, 5, 16)),
        "tiff of other inks": ("image.format", lambda: write_tiff(np.asarray(INK), 5, tags={332: [2]})),
        "tiff of five channels": (
            "image.format",
            lambda: write_tiff(np.dstack([colours, two]), 2, tags={338: [0, 0]}),
        ),
        "tiff in small tiles": ("image.format", lambda: write_tiff(colours, 2, tile=16)),
        "tiff in a tile of too many pixels": (
            "image.pixels",
            lambda: write_tiff(colours, 2, tile=32, tags={322: [60_000], 323: [60_000]}),
        ),
        "tiff in tiles without pixels": (
            "image.undecodable",
            lambda: write_tiff(colours, 2, tile=32, tags={322: [0], 323: [64]}),
        ),
        "tiff zstd": ("image.format", lambda: save(RGB, "TIFF", compression="zstd")),
        "tiff lzma": ("image.format", lambda: save(RGB, "TIFF", compression="lzma")),
        "tiff big endian of 16 bits, white is 0": (
            "image.undecodable",
            lambda: write_tiff(65535 - grey * 257, 0, 16, order=">"),
        ),
        "tiff bits in reverse": ("image.format", lambda: write_tiff(scaled(grey, 1), 1, 1, tags={266: [2]})),
    }
