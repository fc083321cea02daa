"""Annotated images as others publish them: YOLO, COCO, PASCAL VOC and Azaion folders, archives of them, and videos.

Beside the form's own files, a folder of any form may hold `media.csv`: a line `image,medium` at the top, then one
line an image (its file name, or its path below the images without the suffix) with the photo or video that it came
from. Images of one medium always land in one split.
"""

from labelstream_cli.importers.archives import is_archive, unpacked
from labelstream_cli.importers.collecting import Options
from labelstream_cli.importers.detect import published_splits, read_folder
from labelstream_cli.importers.frames import Pixels, Unreadable
from labelstream_cli.importers.mapping import ClassMap, Mapped, UnknownClass
from labelstream_cli.importers.model import Imported, ImportedFolder, NamedBox, Problem
from labelstream_cli.importers.splits import find_splits

__all__ = [
    "ClassMap",
    "Imported",
    "ImportedFolder",
    "Mapped",
    "NamedBox",
    "Options",
    "Pixels",
    "Problem",
    "UnknownClass",
    "Unreadable",
    "find_splits",
    "is_archive",
    "published_splits",
    "read_folder",
    "unpacked",
]
