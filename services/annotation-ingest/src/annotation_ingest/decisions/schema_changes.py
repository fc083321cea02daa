"""The class schema of a project: as configured, and as messages extended it."""

from __future__ import annotations

from annotation_ingest.decisions.trust import Trust
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import Outcome
from labelstream.view import AnnotationView


def current_schema(view: AnnotationView, trust: Trust) -> ClassSchema:
    """Return what class names and ids mean now; the settings may be ahead of the messages, or behind."""
    said = view.class_schema(trust.project)
    return said if said is not None and said.extends(trust.class_schema) else trust.class_schema


def change_schema(now: ClassSchema, wanted: ClassSchema) -> tuple[Outcome, ClassSchema | None]:
    """Return the outcome of a schema change, and the schema from here on if it is another.

    The version rises even when the message does not say so. Raises Rejected when an id would mean something else.
    """
    if now.extends(wanted):
        return Outcome(outcome="duplicated" if wanted.classes == now.classes else "superseded"), None
    if not wanted.extends(now):
        number = next(i for i, (a, b) in enumerate(zip(now.classes, wanted.classes, strict=False)) if a != b)
        raise Rejected(
            "schema.not_append_only",
            f"class {number} is {now.classes[number]!r}, and would become {wanted.classes[number]!r}",
            "Keep every class where it is and add new ones at the end; for other classes use another project.",
        )
    return Outcome(outcome="recorded"), wanted.model_copy(update={"version": max(wanted.version, now.version + 1)})
