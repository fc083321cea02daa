"""What a dataset says of itself, beside its manifest: `dataset.json`."""

from __future__ import annotations

from pydantic import Field

from labelstream.classes import ClassSchema
from labelstream.events.training import DatasetRef
from labelstream.values import FileRef, Position, Sha256, Split, Task, Value
from labelstream_datasets.options import DatasetOptions, LabelRules

MANIFEST = "manifest.parquet"
DESCRIPTION = "dataset.json"


class SplitCount(Value):
    """How much one split holds."""

    media: int = 0
    images: int = Field(0, description="originals")
    samples: int = Field(0, description="originals and variants")
    boxes: int = Field(0, description="boxes on the originals")
    class_images: dict[int, int] = Field(default_factory=dict, description="class id → originals that show it")


class DatasetDescription(DatasetOptions):
    """How a dataset came about, and how to build it again."""

    id: Sha256
    project: str
    task: Task = "detect"
    cut: Position = Field(description="the dataset is what `annotation-events` said up to this offset, inclusive")
    class_schema: ClassSchema = Field(description="the dataset's, after classes were chosen and merged")
    project_schema: ClassSchema | None = Field(None, description="what the ids in archives mean; null: the same")
    recipe: Sha256 = Field(description="digest of the augmentation recipe")
    published: FileRef | None = Field(None, description="a JSON object: annotation name → split, as lists said it")
    published_unknown: int = Field(0, description="listed names that no annotation had")
    published_left_test: int = Field(
        0, description="media that were dealt to test before a listed annotation took them into another split"
    )
    published_images: int = Field(0, description="images whose split is the one that their producer published")
    listed_images: int = Field(0, description="images whose split is the one that lists say, and nobody else")
    emptied_images: int = Field(0, description="images that lost all their boxes to the classes and the smallest box")
    shared_images: int = Field(
        0, description="annotations left out because another one stands for the same image: the newest that counts"
    )
    shared_other_split: int = Field(
        0, description="of these, those that were published for another split than the one that stands"
    )
    counts: dict[Split, SplitCount]
    missing: int = Field(
        0, description="images that could not be augmented, or are unvalidated and not in the store any more"
    )
    manifest: FileRef | None = Field(None, description="known once it is stored")

    def count(self, split: Split) -> SplitCount:
        """Return what one split holds."""
        return self.counts.get(split, SplitCount())

    @property
    def images(self) -> int:
        """Originals of all splits."""
        return sum(count.images for count in self.counts.values())

    @property
    def rules(self) -> LabelRules:
        """What becomes of the archives' labels in the dataset."""
        return LabelRules.of(self, self.project_schema or self.class_schema)

    def reference(self, file: FileRef) -> DatasetRef:
        """Return how events name it; `file` is its `dataset.json`."""
        return DatasetRef(
            id=self.id,
            description=file,
            cut=self.cut,
            samples={split: count.samples for split, count in self.counts.items()},
            test_images=self.count("test").images,
        )

    def to_json(self) -> bytes:
        """Return the content of `dataset.json`."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> DatasetDescription:
        """Read `dataset.json`."""
        return cls.model_validate_json(data)
