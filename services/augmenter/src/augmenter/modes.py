"""Which class stands for another in which weather, as a project's class schema says at an offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labelstream.blobs.ports import Blobs
from labelstream.classes import ClassSchema
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.view import AnnotationView


@dataclass(frozen=True)
class SchemaModes:
    """Answers from the schemas that messages brought, and before the first of them from the one that was recorded."""

    project: str
    view: AnnotationView
    recorded: ClassSchema

    def __call__(self, offset: int) -> Mapping[tuple[int, str], int]:
        """Return (class id, mode) → class id as of an offset of `annotation-events`."""
        return (self.view.class_schema(self.project, at=offset) or self.recorded).modes()


async def schema_modes(project: str, view: AnnotationView, blobs: Blobs, health: Health) -> SchemaModes:
    """Read the recorded schema; waits until annotation-ingest has recorded one."""
    recorded = await patiently(health, "class schema", lambda: recorded_schema(blobs, project))
    return SchemaModes(project, view, recorded)
