"""Which form a folder has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream_cli.importers import coco, voc, yolo
from labelstream_cli.importers.collecting import Collector
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.splits import read_splits

Importer = Callable[[Path, Collector], ImportedFolder]
FORMS: tuple[tuple[str, Callable[[Path], bool], Importer, str], ...] = (
    ("PASCAL VOC", voc.fits, voc.read, voc.LOOKS),
    ("COCO", coco.fits, coco.read, coco.LOOKS),
    ("YOLO", yolo.fits, yolo.read, yolo.LOOKS),
)


def read_folder(folder: Path, splits: Path | None = None) -> ImportedFolder:
    """Read a folder of annotated images in whatever form it has; `splits` holds published lists.

    What can't be read is left out and reported. Raises Misconfigured when no form fits.
    """
    if not folder.is_dir():
        raise Misconfigured(f"there is no folder {folder}")
    for form, fits, read, _ in FORMS:
        if fits(folder):
            return read(folder, Collector.of(form, folder, read_splits(splits)))
    looked_for = "\n".join(f"  {form:10} {looks}" for form, _, _, looks in FORMS)
    raise Misconfigured(f"{folder} has none of the forms that are known. Looked for:\n{looked_for}")
