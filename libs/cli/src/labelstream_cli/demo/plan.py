"""What a demonstration runs on: its data, and how the stack is told to work with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from labelstream.classes import ClassSchema
from labelstream.values import digest_of
from labelstream_cli.importers import ImportedFolder, find_splits, read_folder
from labelstream_cli.running import CommandFailed
from labelstream_cli.scenes.folder import draw_scenes
from labelstream_local.stack import Options

PROJECT = "demo"  # of the scenes; other data get a project each, since class ids never change their meaning
RATIOS = (0.6, 0.15, 0.25)  # train, val, test: enough test images among few; published splits go first
SCENES, PHOTOS = "demo", "photos"  # training recipes


@dataclass(frozen=True)
class Plan:
    """Where the demonstration's files lie and what it trains."""

    root: Path
    data: Path
    imported: ImportedFolder
    recipe: str
    project: str = PROJECT

    @property
    def schema(self) -> ClassSchema:
        """The class schema that the data ask for."""
        return ClassSchema(name="demo", classes=self.imported.classes)

    def write_schema(self) -> Path:
        """Write the class schema as the services read it."""
        path = self.root / f"{self.project}.classes.json"
        path.write_text(json.dumps({"name": "demo", "version": 1, "classes": self.imported.classes}))
        return path.resolve()

    def options(self) -> Options:
        """Return how the stack is to be started."""
        trainer = {
            "LABELSTREAM_TRAINER__RECIPE": self.recipe,
            "LABELSTREAM_TRAINER__MIN_NEW": "0",  # on request: when everything is there
            "LABELSTREAM_TRAINER__DATASET__RATIOS": json.dumps(RATIOS),
        }
        augmenter = {"LABELSTREAM_AUGMENTER__BATCH_AGE_S": "1"}
        schemas = {self.project: str(self.write_schema())}
        return Options(projects=(self.project,), schemas=schemas, told={"trainer": trainer, "augmenter": augmenter})


def plan_scenes(root: Path, *, shuffle_classes: bool = False) -> Plan:
    """Draw the demonstration's own scenes."""
    data = root / "scenes"
    shutil.rmtree(data, ignore_errors=True)
    draw_scenes(data, shuffle_classes=shuffle_classes)
    return Plan(root, data, read_folder(data), SCENES, f"{PROJECT}-control" if shuffle_classes else PROJECT)


def plan_photos(root: Path, data: Path, splits: Path | None) -> Plan:
    """Read a folder of annotated photographs, with the published splits that lie in it or beside it."""
    root.mkdir(parents=True, exist_ok=True)
    imported = read_folder(data, splits or find_splits(data))
    if not imported.images:
        raise CommandFailed(f"there are no annotated images in {data}")
    project = f"{PROJECT}-{digest_of([str(data.resolve()), imported.classes])[:8]}"
    return Plan(root, data, imported, PHOTOS, project)
