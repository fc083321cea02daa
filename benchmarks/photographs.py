"""A folder of annotated photographs with published splits, as the trainer gets it: the training images with variants.

The augmenter's own code makes the variants, from the seeds that the service takes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from augmenter.recipe import Recipe
from augmenter.render import render
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box, Shape
from labelstream.values import SPLITS, sha256_hex
from labelstream_cli.importers import Imported, ImportedFolder, find_splits, read_folder


@dataclass(frozen=True)
class Photographs:
    """Annotated photographs, each in its published split."""

    imported: ImportedFolder

    @classmethod
    def of(cls, folder: Path) -> Photographs:
        """Read a folder in any form that `labelstream push` takes. Raises ValueError without published splits."""
        imported = read_folder(folder, find_splits(folder))
        missing = [split for split in SPLITS if all(one.split != split for one in imported)]
        if missing:
            raise ValueError(f"no image of {folder} is in the split {missing[0]}: put lists in {folder / 'splits'}")
        return cls(imported)

    def write(self, folder: Path, recipe: Recipe) -> Path:
        """Write what the trainer reads; each training image is followed by the recipe's variants of it."""
        for split in SPLITS:
            for kind in ("images", "labels"):
                (folder / split / kind).mkdir(parents=True)
        for one in self.imported:
            if one.split is not None:
                self._write_one(folder / one.split, one, recipe if one.split == "train" else None)
        (folder / "data.yaml").write_text(yaml.safe_dump({"names": list(self.imported.classes)}))
        return folder

    def _write_one(self, folder: Path, one: Imported, recipe: Recipe | None) -> None:
        name = one.name.replace("/", "_")
        shapes: tuple[Shape, ...] = tuple(
            Box(class_id=self.imported.classes.index(box.name), x=box.x, y=box.y, w=box.w, h=box.h) for box in one.boxes
        )
        shutil.copyfile(one.image_path, folder / "images" / f"{name}{one.image_path.suffix}")
        _write_labels(folder / "labels" / f"{name}.txt", shapes)
        if recipe is None:
            return
        encoded = one.image_path.read_bytes()
        made = render(encoded, _reference(one.image_path, encoded), shapes, recipe, {})
        for number, variant in enumerate(made.variants, 1):
            (folder / "images" / f"{name}_{number}.jpg").write_bytes(variant.image)
            _write_labels(folder / "labels" / f"{name}_{number}.txt", variant.shapes)


def _reference(path: Path, encoded: bytes) -> ImageRef:
    with Image.open(path) as opened:
        (width, height), form = opened.size, (opened.format or "").lower()
    digest = sha256_hex(encoded)
    return ImageRef(key=digest, sha256=digest, size_bytes=len(encoded), format=form, width=width, height=height)


def _write_labels(path: Path, shapes: tuple[Shape, ...]) -> None:
    lines = (" ".join(map(str, (one.class_id, one.x, one.y, one.w, one.h))) for one in shapes if isinstance(one, Box))
    path.write_text("".join(f"{line}\n" for line in lines))
