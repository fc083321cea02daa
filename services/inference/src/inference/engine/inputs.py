"""What goes into a network: an image in a square, the way that the artifact's `input` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from inference.engine.contract import Prepared
from inference.engine.geometry import Letterbox, Pixels, Size, Tensor

PADDING = 114  # the grey that the network was trained with
MOST = np.float32(255)

Prepare = Callable[[Pixels, int], Prepared]


def as_bytes(image: Pixels, side: int) -> Prepared:
    """Letterbox an image (height, width, 3) BGR into (side, side, 3) BGR, 0 to 255."""
    fit = _fit(image, side)
    square = np.empty((side, side, 3), np.uint8)
    _pad(square, fit, PADDING)
    inside = square[_rows(fit), _columns(fit)]
    if fit.inner == fit.image:
        inside[:] = image
    else:  # straight to where it belongs
        cv2.resize(image, (fit.inner.width, fit.inner.height), dst=inside, interpolation=cv2.INTER_LINEAR)
    return Prepared(square, fit)


def as_floats(image: Pixels, side: int) -> Prepared:
    """Letterbox an image (height, width, 3) BGR into (3, side, side) RGB, 0 to 1."""
    fit = _fit(image, side)
    inner = (fit.inner.width, fit.inner.height)
    resized = image if fit.inner == fit.image else cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    tensor = np.empty((3, side, side), np.float32)
    for plane, channel in zip(tensor, reversed(cv2.split(resized)), strict=True):
        _pad(plane, fit, PADDING / MOST)
        np.divide(channel, MOST, out=plane[_rows(fit), _columns(fit)])
    return Prepared(tensor, fit)


def zeros(word: str, side: int) -> Tensor:
    """Return a black square as a network takes it."""
    if word == UINT8:
        return np.zeros((side, side, 3), np.uint8)
    return np.zeros((3, side, side), np.float32)


FLOAT32, UINT8 = "float32-nchw-rgb-0-1", "uint8-nhwc-bgr"
INPUTS: Mapping[str, Prepare] = MappingProxyType({FLOAT32: as_floats, UINT8: as_bytes})


def _fit(image: Pixels, side: int) -> Letterbox:
    height, width = image.shape[:2]
    return Letterbox.of(Size(width, height), side)


def _rows(fit: Letterbox) -> slice:
    return slice(fit.top, fit.top + fit.inner.height)


def _columns(fit: Letterbox) -> slice:
    return slice(fit.left, fit.left + fit.inner.width)


def _pad(square: Tensor, fit: Letterbox, grey: Any) -> None:
    """Fill what the image leaves of (side, side, …)."""
    rows, columns = _rows(fit), _columns(fit)
    square[: rows.start] = grey
    square[rows.stop :] = grey
    square[rows, : columns.start] = grey
    square[rows, columns.stop :] = grey
