"""In the decoder's process: the frames that are wanted, in their order, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.answering.video.container import Video, check_pixels, damaged, look_through, open_video
from inference.answering.video.order import Order
from labelstream.errors import Rejected

_MOST_FAULTS = 500  # in a row: nothing good comes any more


@dataclass(frozen=True)
class Shown:
    """A frame, its number in the video, and when it is shown."""

    frame: VideoFrame
    number: int
    time_s: float


class Decoding:
    """Goes through the wanted part of a video once."""

    def __init__(self, video: Video, order: Order, alive: Callable[[], None]) -> None:
        """Judge the part. Raises Rejected."""
        self._video = video
        self._order = order
        self._alive = alive
        self._index = look_through(video, order, alive)
        self._counted = 0  # frames that came out of the decoder, when they could not be counted before
        self._faults = self._first_fault = 0
        self._numbers = self._judge()

    def frames(self) -> Iterator[Shown]:
        """Yield the frames that are wanted. Raises Rejected when one is too large."""
        given = 0
        self._begin()
        for shown in self._decoded():
            if shown.number >= self._numbers.stop or self._late(shown):
                return
            if not self._wanted(shown):
                continue
            check_pixels(shown.frame.width, shown.frame.height, self._order)
            yield shown
            given += 1
            if given == self._order.max_frames:
                self._numbers = range(self._numbers.start, shown.number + 1)
                return

    @property
    def gone_through(self) -> int:
        """How many frames of the video were looked at or skipped."""
        return len(self._numbers) if self._index.times else self._counted

    def trouble(self) -> Rejected | None:
        """Return what was wrong with the part that was gone through."""
        if self._index.cut and not self._ended_before_cut():
            return damaged(self._index.cut)
        if self._faults:
            return damaged(f"{self._faults} of its frames, from about number {self._first_fault} on, can't be decoded")
        return None

    def _ended_before_cut(self) -> bool:
        """Say whether the part lies in what is there."""
        return bool(self._index.times) and self._numbers.stop < len(self._index.times)

    def _judge(self) -> range:
        """Return which frames lie in the part that is wanted. Raises Rejected."""
        index, order = self._index, self._order
        if not index.packets:
            raise damaged(index.cut) if index.cut else Rejected("video.no_frames", "the video has no frames", _OTHER)
        if not index.times:
            return range(index.packets + 1)  # roughly; times are looked at as they come
        seconds = [self._video.seconds(index, index.times[0]), self._video.seconds(index, index.times[-1])]
        to_s = seconds[1] if order.to_s is None else min(order.to_s, seconds[1])
        if to_s - order.from_s > order.most_seconds:
            raise Rejected(
                "video.too_long",
                f"{to_s - order.from_s:.1f} s of video are asked for; {order.most_seconds:g} s are the most",
                "Ask for a part of it by from_s and to_s.",
            )
        first = index.number(self._units(order.from_s))
        end = len(index.times) if order.to_s is None else index.number(self._units(order.to_s))
        if first >= end or -(-first // order.every) * order.every >= end:
            raise Rejected(
                "video.part_empty",
                f"the part holds no frame to look at; the video is {seconds[1]:.3f} s long",
                "Ask for an earlier part, a longer one, or more of its frames (`every`).",
            )
        return range(first, end)

    def _units(self, seconds: float) -> int:
        """Return the first time of the stream that is not before `seconds`."""
        exact = seconds / self._video.unit_s
        return self._index.times[0] + (int(exact) if exact == int(exact) else int(exact) + 1)

    def _begin(self) -> None:
        """Go back to where the part begins, or to the very beginning."""
        video, index = self._video, self._index
        if not (index.times and self._numbers.start and video.finds_places):
            video.container.close()
            self._video = open_video(video.file, self._order)
            return
        try:
            video.container.seek(index.times[self._numbers.start], stream=video.stream)
        except av.error.FFmpegError as error:
            raise damaged(f"its start is not found again: {error.strerror}") from error

    def _decoded(self) -> Iterator[Shown]:
        """Yield what comes out of the decoder; what can't be decoded is counted and left out."""
        in_a_row = 0
        try:
            for packet in self._video.container.demux(self._video.stream):
                self._alive()
                if packet.is_corrupt:  # cut off, or with a gap in it
                    self._fault(packet)
                    continue
                self._choose(packet)
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    return
                except (av.error.FFmpegError, ValueError):
                    in_a_row += 1
                    self._fault(packet)
                    if in_a_row > _MOST_FAULTS:
                        return
                    continue
                for frame in frames:
                    in_a_row = 0
                    shown = self._shown(frame)
                    if frame.is_corrupt:
                        self._fault(None)
                    else:
                        yield shown
        except av.error.FFmpegError:  # the file can't be read on: `look_through` met the same
            return

    def _choose(self, packet: Packet[VideoStream]) -> None:
        """Let the decoder leave out a frame that nobody wants and no other one needs."""
        times = self._index.times
        if times and (self._order.every > 1 or self._numbers.start):
            number = self._numbers.start if packet.pts is None else self._index.number(packet.pts)
            wanted = number in self._numbers and number % self._order.every == 0
            self._video.stream.codec_context.skip_frame = "DEFAULT" if wanted or packet.pts is None else "NONREF"

    def _shown(self, frame: VideoFrame) -> Shown:
        if self._index.times and frame.pts is not None:
            return Shown(frame, self._index.number(frame.pts), self._video.seconds(self._index, frame.pts))
        number, self._counted = self._counted, self._counted + 1
        if frame.pts is not None:
            return Shown(frame, number, self._video.seconds(self._index, frame.pts))
        return Shown(frame, number, float(number / (self._video.stream.average_rate or 25)))

    def _wanted(self, shown: Shown) -> bool:
        in_part = shown.number in self._numbers if self._index.times else shown.time_s >= self._order.from_s
        return in_part and shown.number % self._order.every == 0

    def _late(self, shown: Shown) -> bool:
        order = self._order
        if self._index.times:
            return False
        if shown.time_s - order.from_s > order.most_seconds:
            raise Rejected(
                "video.too_long",
                f"more than {order.most_seconds:g} s of video are asked for",
                "Ask for a part of it by from_s and to_s.",
            )
        return order.to_s is not None and shown.time_s >= order.to_s

    def _fault(self, packet: Packet[VideoStream] | None) -> None:
        if not self._faults:
            known = packet is not None and packet.pts is not None and self._index.times
            self._first_fault = self._index.number(packet.pts) if known and packet and packet.pts else self._counted
        self._faults += 1


_OTHER = "Send another file."
