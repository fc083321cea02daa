"""The datasets that trainings are requested on: built at a cut, or stored by somebody."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.blobs.ports import Blobs
from labelstream.events.training import DatasetRef
from labelstream.schemas.recorded import recorded_schema
from labelstream.values import FileRef
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import DatasetPlan, build, store
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.loading import load_description, load_reference
from labelstream_datasets.options import DatasetOptions
from trainer.deciding.check import warnings


@dataclass(frozen=True)
class Dataset:
    """A stored dataset, and what it lacks although one can train on it."""

    reference: DatasetRef
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Datasets:
    """Builds and reads datasets; every method raises Unavailable when the store is away."""

    view: AnnotationView
    index: BatchIndex
    blobs: Blobs
    options: DatasetOptions

    def readable(self, project: str) -> int:
        """Return the offset up to which annotations were read and augmented."""
        recipe = self.index.recipe(project)
        covered = self.index.coverage(project, recipe) if recipe else -1
        return min(covered, -1 if self.view.position is None else self.view.position)

    async def built(self, project: str, cut: int) -> Dataset:
        """Build and store the dataset of a cut, which is readable; the same cut gives the same dataset."""
        recipe = self.index.recipe(project, cut)
        if recipe is None:
            raise RuntimeError(f"no recipe covers {project} up to {cut}, although it was readable")
        plan = DatasetPlan(
            project=project,
            cut=cut,
            recipe=recipe,
            class_schema=await recorded_schema(self.blobs, project),
            options=self.options,
        )
        one = await build(self.view, self.index, plan, self.blobs)
        return Dataset(await store(self.blobs, one), warnings(one.description))

    async def stored(self, description: FileRef) -> Dataset:
        """Return a dataset that somebody built. Raises Rejected when it is gone, changed or none."""
        reference = await load_reference(self.blobs, description)
        return Dataset(reference, warnings(await load_description(self.blobs, description)))

    async def of(self, project: str, at: int | FileRef) -> Dataset:
        """Return the dataset of a cut, or the stored one. Raises Rejected."""
        return await (self.built(project, at) if isinstance(at, int) else self.stored(at))
