"""The bytes of imported images: files as they are, frames of videos as JPEG, one at a time."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2

from labelstream_cli.importers.model import Imported, Reason

JPEG_QUALITY = 92


class Unreadable(Exception):
    """An image or a video can't be read; the text says why."""

    def __init__(self, kind: Reason, reason: str) -> None:
        """Give the kind of problem and the reason."""
        super().__init__(reason)
        self.kind = kind


class Pixels:
    """Reads images one after another. Frames should come in rising order: the video that was read last stays open."""

    def __init__(self) -> None:
        self._video: _Video | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def read(self, image: Imported) -> bytes:
        """Return an image file's bytes, or a frame as JPEG. Raises Unreadable."""
        if image.frame is not None:
            return self._opened(image.image_path).jpeg(image.frame)
        try:
            return image.image_path.read_bytes()
        except OSError as error:
            raise Unreadable("image unreadable", f"{image.image_path}: {error.strerror}") from error

    def _opened(self, path: Path) -> _Video:
        if self._video is None or self._video.path != path:
            self._close()
            self._video = _Video(path)
        return self._video

    def _close(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None


def count_frames(path: Path) -> int:
    """Return how many frames a video has: as its header says, else by going through it. Raises Unreadable."""
    capture = _open(path)
    try:
        said = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        seen = 0
        while (said <= 0 or seen == 0) and capture.grab():
            seen += 1
        if seen == 0:
            raise Unreadable("video unreadable", f"no frame of {path.name} can be decoded")
        return max(said, seen)
    finally:
        capture.release()


class _Video:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._capture = _open(path)
        self._next = 0  # the frame that comes next
        self._ended = False

    def jpeg(self, number: int) -> bytes:
        if number < self._next and not self._ended:
            self._capture.release()
            self._capture, self._next = _open(self.path), 0
        while self._next <= number and not self._ended:
            self._ended = not self._capture.grab()
            self._next += not self._ended
        if self._next != number + 1:
            raise Unreadable("video unreadable", f"{self.path.name} ends or is broken at frame {self._next}")
        there, pixels = self._capture.retrieve()  # (height, width, 3) BGR
        written, data = (
            cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]) if there else (False, b"")
        )
        if not written:
            raise Unreadable("video unreadable", f"frame {number} of {self.path.name} can't be decoded")
        return bytes(data)

    def close(self) -> None:
        self._capture.release()


def _open(path: Path) -> Any:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong is said by us, once
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise Unreadable("video unreadable", f"{path.name} is no video that can be opened")
    return capture
