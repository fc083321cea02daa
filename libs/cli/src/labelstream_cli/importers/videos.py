"""Videos: every Nth frame, with the labels that lie beside the video for some of them.

A frame's labels are the YOLO lines of `labels/<video>_<frame>.txt` beside the video, its class names those of
classes.txt or data.yaml there or in the folder. Labelled frames are always taken; the others, every Nth, are sent
without boxes and unvalidated: they are what a person has yet to label.
"""

from __future__ import annotations

from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream_cli.importers.collecting import Collector
from labelstream_cli.importers.files import name_of, videos_below
from labelstream_cli.importers.frames import Unreadable, count_frames
from labelstream_cli.importers.yolo import ClassNames, boxes_in, listed_names

DIGITS = 6  # of a frame's number in its name


def add_videos(folder: Path, collector: Collector, only: Path | None = None) -> int:
    """Take the frames of the videos below a folder, or of one of them; return how many videos there are."""
    named: dict[str, Path] = {}
    videos = [only] if only is not None else list(videos_below(folder))
    for video in videos:
        name = name_of(video, folder)
        labels = _label_files(video)
        collector.claimed.update(labels.values())
        if name in named:
            collector.leave_out(
                str(video.relative_to(folder)), "name used twice", f"its frames have the names of {named[name].name}'s"
            )
            continue
        named[name] = video
        try:
            _add_frames(folder, collector, video, labels)
        except Unreadable as error:
            collector.leave_out(str(video.relative_to(folder)), "video unreadable", str(error))
    return len(videos)


def _add_frames(folder: Path, collector: Collector, video: Path, labels: dict[int, Path]) -> None:
    count = count_frames(video)
    collector.video_frames += count
    names = _class_names(folder, video, collector) if labels else ClassNames(())
    for number in sorted({*range(0, count, collector.options.every), *labels}):
        name = f"{name_of(video, folder)}_{number:0{DIGITS}}"
        if number >= count:
            reason = f"{video.name} has no frame {number}, only {count}"
            collector.leave_out(name, "label without an image", reason)
            continue
        boxes = boxes_in(collector, name, labels[number], names) if number in labels else []
        if boxes is not None:
            collector.add(
                name, video, boxes, medium=str(video.relative_to(folder)), frame=number, validated=number in labels
            )


def _label_files(video: Path) -> dict[int, Path]:
    """Return the label files of a video's frames, by frame."""
    found = {}
    for path in (video.parent / "labels").glob("*.txt"):
        stem, _, number = path.stem.rpartition("_")
        if stem == video.stem and number.isascii() and number.isdigit():
            found[int(number)] = path
    return found


def _class_names(folder: Path, video: Path, collector: Collector) -> ClassNames:
    listed = listed_names(video.parent) or listed_names(folder)
    if listed is None and not collector.options.numbered:
        raise Misconfigured(
            f"the labels of {video} do not say their classes: put classes.txt or data.yaml beside it. "
            "--map 0=NAME --map 1=NAME, or --class-map FILE, names them"
        )
    collector.more_classes += listed or ()
    return ClassNames(listed)
