"""Messages that come before the annotation that they are about: held, and settled when it is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labelstream.events.annotation import Annotation, HeldEdit, Note, Outcome, SettledAs, Settlement
from labelstream.labels import labels_digest
from labelstream.view import HeldMessage

MOST_EXPIRED = 20  # told in one receipt, so that it stays small; the next receipts tell the rest


@dataclass(frozen=True)
class Applied:
    """A creation with what was held for it."""

    annotation: Annotation
    validated: bool
    settles: tuple[Settlement, ...]


def hold_edit(
    name: str, edit: HeldEdit, held: Sequence[HeldMessage], *, validated: bool, notes: tuple[Note, ...]
) -> tuple[Outcome, tuple[Settlement, ...]]:
    """Hold an edit; it takes the place of an earlier one, and of a validation of what was there before it."""
    outcome = Outcome(name=name, outcome="held", validated=validated, edit=edit, notes=notes)
    return outcome, settle_all((one for one in held if one.asked != "deleted"), "superseded")


def hold_status(name: str, held: Sequence[HeldMessage], *, validated: bool) -> Outcome:
    """Hold a validation or a deletion; a second one says nothing new."""
    asked = "validated" if validated else "deleted"
    first = next((one for one in held if one.asked == asked), None)
    if first is not None:
        return Outcome(name=name, outcome="duplicated", repeats=first.input)
    return Outcome(name=name, outcome="held", validated=validated)


def deletion_in(held: Iterable[HeldMessage]) -> bool:
    """Return whether the annotation is to be deleted as soon as it is there."""
    return any(one.asked == "deleted" for one in held)


def apply(held: Sequence[HeldMessage], annotation: Annotation, *, validated: bool) -> Applied:
    """Do what was held to an annotation that was just created, in the order of the messages."""
    settles: list[Settlement] = []
    for one in held:
        if one.edit is not None:
            annotation, validated = _edited(annotation, one.edit), one.validated
            settles += settle_all([one], "edited")
        elif one.asked == "validated":
            validated = True
            settles += settle_all([one], "validated")
    return Applied(annotation, validated, tuple(settles))


def supersede(held: Iterable[HeldMessage]) -> tuple[Settlement, ...]:
    """Settle what was held for an annotation that is deleted before it is there."""
    return tuple(
        settlement
        for one in held
        for settlement in settle_all([one], "deleted" if one.asked == "deleted" else "superseded")
    )


def settle_all(held: Iterable[HeldMessage], outcome: SettledAs) -> tuple[Settlement, ...]:
    """Settle held messages with one outcome."""
    return tuple(
        Settlement(name=one.name, input=one.input, asked=one.asked, outcome=outcome)
        for one in held
        if one.asked != "created"
    )


def _edited(annotation: Annotation, edit: HeldEdit) -> Annotation:
    return annotation.model_copy(
        update={
            "shapes": edit.shapes,
            "labels": labels_digest(edit.shapes),
            "source": edit.source,
            "tags": edit.tags or annotation.tags,
            "schema_digest": edit.schema_digest,
        }
    )
