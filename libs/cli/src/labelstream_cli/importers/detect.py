"""Which form a folder has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream_cli.importers import azaion, coco, unlabelled, voc, yolo
from labelstream_cli.importers.collecting import Collector, Options
from labelstream_cli.importers.files import VIDEO_SUFFIXES, images_below, videos_below
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.splits import find_splits, read_splits
from labelstream_cli.importers.videos import add_videos

Importer = Callable[[Path, Collector], ImportedFolder]
FORMS: tuple[tuple[str, Callable[[Path], bool], Importer, str], ...] = (
    ("Azaion", azaion.fits, azaion.read, azaion.LOOKS),
    ("PASCAL VOC", voc.fits, voc.read, voc.LOOKS),
    ("COCO", coco.fits, coco.read, coco.LOOKS),
    ("YOLO", yolo.fits, yolo.read, yolo.LOOKS),
)
VIDEOS, IMAGES = "videos", "images without labels"


def read_folder(
    folder: Path,
    splits: Path | None = None,
    options: Options = Options(),  # noqa: B008 -- frozen
) -> ImportedFolder:
    """Read a folder of annotated images in whatever form it has, or one video; `splits` holds published lists.

    Where nothing fits and the folder holds just one folder, that one is looked at. What can't be read is left out
    and reported. Raises Misconfigured when no form fits.
    """
    if folder.is_file() and folder.suffix.lower() in VIDEO_SUFFIXES:
        collector = Collector.of(VIDEOS, folder.parent, read_splits(splits), options)
        add_videos(folder.parent, collector, only=folder)
        return collector.finish(())
    if not folder.is_dir():
        what = (
            f"there is no file or folder {folder}"
            if not folder.exists()
            else f"{folder} is no folder, archive or video"
        )
        raise Misconfigured(what)
    for root in _descent(folder):
        for form, fits, read, _ in FORMS:
            if fits(root):
                collector = Collector.of(form, root, read_splits(splits), options)
                add_videos(root, collector)
                return read(root, collector)
    return _read_without_form(_unwrapped(folder), splits, options)


def published_splits(folder: Path) -> Path | None:
    """Return where the published lists of a folder lie, or of the one folder in it; None when nowhere."""
    roots = _descent(folder) if folder.is_dir() else ()
    return next((found for root in roots if (found := find_splits(root)) is not None), None)


def _read_without_form(root: Path, splits: Path | None, options: Options) -> ImportedFolder:
    videos = any(videos_below(root))
    images = any(images_below(root))
    if videos or (images and options.unlabelled):
        collector = Collector.of(VIDEOS if videos else IMAGES, root, read_splits(splits), options)
        add_videos(root, collector)
        return unlabelled.read(root, collector)
    looked_for = "\n".join(f"  {form:10} {looks}" for form, _, _, looks in FORMS)
    hint = "\nThere are images: --unlabelled sends them without boxes, for a person to label." if images else ""
    raise Misconfigured(f"{root} has none of the forms that are known. Looked for:\n{looked_for}{hint}")


def _descent(folder: Path) -> Iterator[Path]:
    """Yield the folder, and then the one folder in it, as long as there is just one."""
    while True:
        yield folder
        inside = [path for path in _contents(folder) if path.is_dir()]
        if len(inside) != 1:
            return
        folder = inside[0]


def _unwrapped(folder: Path) -> Path:
    """Return the folder, or the one in it that is all it holds."""
    while len(inside := _contents(folder)) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder


def _contents(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
