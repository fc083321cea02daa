"""In the decoder's process: opens a video, and knows every frame's place and time before any is decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from inference.answering.video.order import Order
from labelstream.errors import Rejected

FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"  # none of them opens another file, or an address
CODECS = frozenset(
    (
        *("av1", "h264", "hevc", "vp8", "vp9", "mjpeg", "mpeg4", "mpeg1video", "mpeg2video", "msmpeg4v2", "msmpeg4v3"),
        *("h263", "flv1", "theora", "vc1", "wmv1", "wmv2", "wmv3", "prores", "dnxhd", "ffv1", "rawvideo"),
    )
)
_HIDDEN_FRAMES = frozenset({"vp8"})  # packets that show nothing: they can't be counted as frames
_WITHOUT_INDEX = frozenset({"mpegts", "mpeg"})
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
_AT_ONCE = 1 << 20  # bytes that are read
_SHORT_BY = 1.0  # seconds (and 2 %) that a whole video may be shorter than it says


@dataclass(frozen=True)
class Index:
    """Which frames there are, by what the container tells without decoding any."""

    times: Sequence[int]  # of the frames as they are shown, in units of the stream; empty: they can't be known before
    packets: int
    cut: str  # why the file ends before it should; empty: it does not

    def number(self, time: int) -> int:
        """Return which frame is shown at `time`."""
        return bisect_left(self.times, time)


@dataclass(frozen=True)
class Video:
    """An opened video."""

    file: BinaryIO
    container: InputContainer
    stream: VideoStream
    unit_s: Fraction

    @property
    def finds_places(self) -> bool:
        """Say whether a seek finds the frames of a place: streams made for broadcasting have no index of them."""
        return self.container.format.name not in _WITHOUT_INDEX

    def seconds(self, index: Index, time: int) -> float:
        """Return when something is shown, from the first frame on."""
        return float((time - (index.times[0] if index.times else (self.stream.start_time or 0))) * self.unit_s)


def open_video(file: BinaryIO, order: Order) -> Video:
    """Open a video and judge what it says of itself. Raises Rejected."""
    file.seek(0)  # the position is shared with who wrote it
    try:
        container = av.open(file, "r", options=_OPTIONS, buffer_size=_AT_ONCE, metadata_errors="ignore")
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # none knows it, or only one not listed here
        raise _unknown(file) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise damaged(f"it can't be opened: {error}") from error
    if all(each.type == "data" for each in container.streams):
        raise _unknown(file)
    streams = [each for each in container.streams.video if not each.disposition & each.disposition.attached_pic]
    if not streams:
        raise Rejected("video.no_video", "the file holds no moving pictures", "Send a video that has a picture track.")
    stream = max(streams, key=lambda each: bool(each.disposition & each.disposition.default))
    context = stream.codec_context
    if context is None or context.codec.canonical_name not in CODECS:
        name = "unknown" if context is None else context.codec.canonical_name
        raise Rejected(
            "video.unknown_codec", f"its pictures are coded as {name!r}", "Encode it as H.264, H.265, VP9 or AV1."
        )
    check_pixels(context.width, context.height, order)
    context.thread_count = 1
    context.options = {"max_pixels": str(order.most_pixels)}  # a frame may be larger than the container says
    return Video(file, container, stream, stream.time_base or Fraction(1, 90_000))


def look_through(video: Video, order: Order, alive: Callable[[], None]) -> Index:
    """Read where every frame is. Raises Rejected when there are too many of them."""
    times: list[int] = []
    packets, last_s, hidden = 0, 0.0, video.stream.codec_context.codec.canonical_name in _HIDDEN_FRAMES
    cut, timed = "", not hidden
    try:
        for packet in video.container.demux():
            if packet.dts is None and packet.pts is None and not packet.size:
                continue  # the end of a stream
            if packet.pts is not None and packet.time_base:
                last_s = max(last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != video.stream.index:
                continue
            packets += 1
            if packets % 1000 == 0:
                alive()
            if packets > order.most_frames:
                raise too_many_frames(order)
            timed = timed and packet.pts is not None
            if timed and not packet.is_discard and packet.pts is not None:
                times.append(packet.pts)
    except av.error.FFmpegError as error:
        cut = f"it can't be read to its end: {error.strerror}"
    times.sort()
    return Index(times if timed else (), packets, cut or _cut(video, packets, last_s))


def check_pixels(width: int, height: int, order: Order) -> None:
    """Raise Rejected when frames are too large."""
    if width * height > order.most_pixels:
        raise Rejected(
            "video.too_many_pixels",
            f"its frames have {width} × {height} pixels; {order.most_pixels} are the most",
            "Scale it down, and send that.",
        )


def too_many_frames(order: Order) -> Rejected:
    """Return the refusal of a video of too many frames."""
    return Rejected(
        "video.too_many_frames",
        f"it has more than {order.most_frames} frames",
        "Cut it into parts, or lower its frame rate.",
    )


def damaged(reason: str) -> Rejected:
    """Return the refusal of a video that can't be read or decoded."""
    return Rejected("video.damaged", f"the video is damaged: {reason}", "Save it again, and send the new file.")


def _cut(video: Video, packets: int, last_s: float) -> str:
    """Return in which way the file holds less than it says."""
    container = video.container
    if "mov" in container.format.name and video.stream.frames > packets:  # others count frames that were never there
        return f"it says that it has {video.stream.frames} frames, but only {packets} are there"
    announced_s = (container.duration or 0) / av.time_base
    there_s = last_s - (container.start_time or 0) / av.time_base
    if announced_s * 0.98 - _SHORT_BY > there_s:
        return f"it says that it has {announced_s:.1f} s, but only {max(there_s, 0):.1f} s are there"
    return ""


def _unknown(file: BinaryIO) -> Rejected:
    file.seek(0)
    start = file.read(12)
    if start[4:8] in (b"ftyp", b"moov", b"mdat") or start[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3", b"OggS"):
        return damaged("its description is missing or can't be read; it may have been cut off")
    return Rejected(
        "video.unknown_format",
        "the content is not a video of a known format",
        "Send one as MP4, MOV, Matroska, WebM, AVI, MPEG-TS, MPEG-PS, FLV, WMV or Ogg.",
    )
