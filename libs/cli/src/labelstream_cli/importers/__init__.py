"""Annotated folders as others publish them: YOLO, COCO and PASCAL VOC.

Beside the form's own files, a folder of any form may hold `media.csv`: a line `image,medium` at the top, then one
line an image (its file name, or its path below the images without the suffix) with the photo or video that it came
from. Images of one medium always land in one split.
"""

from labelstream_cli.importers.detect import read_folder
from labelstream_cli.importers.model import Imported, ImportedFolder, NamedBox, Problem
from labelstream_cli.importers.splits import find_splits

__all__ = ["Imported", "ImportedFolder", "NamedBox", "Problem", "find_splits", "read_folder"]
