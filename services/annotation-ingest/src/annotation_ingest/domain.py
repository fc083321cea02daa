"""Decides what becomes of each annotation that a message names. Pure: it reads the view and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from annotation_ingest.decisions import holding
from annotation_ingest.decisions.schema_changes import change_schema, current_schema
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.rules import Checked, to_shapes
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, HeldEdit, ImageRef, Note, Outcome, Settlement
from labelstream.labels import Shape, labels_digest
from labelstream.values import Position
from labelstream.view import AnnotationView, Entry, Status
from labelstream.wire.submission import Submission


@dataclass(frozen=True)
class Content:
    """What a creation or an edit brought, checked and stored; its class names are looked up in its turn."""

    image: ImageRef | None
    checked: Checked
    notes: tuple[Note, ...] = ()  # about the image


@dataclass(frozen=True)
class Decision:
    """What becomes of a message."""

    outcomes: tuple[Outcome, ...]
    settles: tuple[Settlement, ...] = ()
    class_schema: ClassSchema | None = None


@dataclass(frozen=True)
class Decider:
    """Decides one message after the other; the view holds what was decided before."""

    view: AnnotationView
    trust: Trust

    def decide(self, submission: Submission, content: Content | None) -> Decision:
        """Return what becomes of each name in the message. Raises Rejected when the message as a whole is refused."""
        names = tuple(dict.fromkeys(submission.names))
        first = self.seen(submission)
        if first is not None:
            return Decision(tuple(self._repeats(names, first)))
        self.trust.check(submission.kind)
        if submission.class_schema is not None:
            outcome, changed = change_schema(current_schema(self.view, self.trust), submission.class_schema)
            return Decision((outcome,), class_schema=changed)
        if submission.kind in {"created", "edited"}:
            if content is None:
                raise ValueError("a message that brings content is decided with it")
            overtaken = self._overtaken(submission, names[0])
            return Decision((overtaken,)) if overtaken else self._content(submission, names[0], content)
        return Decision(tuple(self._statuses(submission, names)))

    def seen(self, submission: Submission) -> Position | None:
        """Return the message that this one delivers again.

        Words without an id or a date may be said twice and meant twice ("validate these"), except for a
        creation: saying it again must not take an annotation back to its beginning.
        """
        if submission.anonymous and submission.kind != "created":
            return None
        return self.view.seen(self.trust.project, submission.message_key)

    def _overtaken(self, submission: Submission, name: str) -> Outcome | None:
        """Return what becomes of a replay, when something newer than the refused message was settled."""
        refused = self.view.receipt_of(submission.replays) if submission.replays else None
        if refused is None:
            return None
        status = self.view.statuses(self.trust.project, [name]).get(name)
        # What is held waits for just this creation: only another content of the annotation is newer.
        held = [] if submission.kind == "created" else self.view.held(self.trust.project, name)
        newest = max([*(one.offset for one in held), *([status.offset] if status else [])], default=-1)
        return _superseded(name, status) if newest > refused else None

    # ---- messages that bring content

    def _content(self, submission: Submission, name: str, content: Content) -> Decision:
        entry = self.view.entry(self.trust.project, name)
        if self.trust.yields_to(entry) or (submission.kind == "created" and self._awaits_creation(name)):
            return Decision((_superseded(name, entry),))
        schema = current_schema(self.view, self.trust)
        shapes, notes = to_shapes(content.checked, schema)
        if content.image is not None:
            self.trust.check_room(self.view, content.image.sha256, content.image.size_bytes)
        said = _Said(
            submission=submission,
            image=content.image,
            shapes=shapes,
            schema=schema,
            validated=self.trust.validates(submission),
            notes=(*content.notes, *notes),
        )
        if entry is None or entry.deleted:
            return self._first(said, name, entry)
        return Decision((self._change(said, name, entry),))

    def _change(self, said: _Said, name: str, entry: Entry) -> Outcome:
        """Decide about content for an annotation that is there."""
        changed, number = said.annotation(name, entry.annotation), entry.revision + 1
        if _content_of(changed) != _content_of(entry.annotation):
            return Outcome(
                name=name,
                outcome="edited",
                revision=number,
                validated=said.validated,
                annotation=changed,
                notes=said.notes,
            )
        if said.validated and not entry.validated:
            return Outcome(name=name, outcome="validated", revision=number, validated=True)
        if entry.validated and not said.validated and said.submission.kind == "edited":
            return Outcome(name=name, outcome="unvalidated", revision=number, validated=False)
        return self._as_it_is(entry)

    def _first(self, said: _Said, name: str, entry: Entry | None) -> Decision:
        """Record an annotation that is not there (any more)."""
        if said.submission.kind == "edited" and entry is not None:
            return Decision((_superseded(name, entry),))
        held = self.view.held(self.trust.project, name)
        if said.image is None:
            outcome, settles = holding.hold_edit(name, said.edit(), held, validated=said.validated, notes=said.notes)
            return Decision((outcome,), settles)
        if holding.deletion_in(held):
            settles = holding.supersede(held) if said.submission.kind == "created" else ()
            return Decision((_superseded(name, entry),), settles)
        applied = holding.Applied(said.annotation(name, None), said.validated, holding.settle_all(held, "superseded"))
        if said.submission.kind == "created":
            applied = holding.apply(held, applied.annotation, validated=said.validated)
        outcome = Outcome(
            name=name,
            outcome="recorded",
            revision=entry.revision + 1 if entry else 1,
            validated=applied.validated,
            annotation=applied.annotation,
            notes=said.notes,
        )
        return Decision((outcome,), applied.settles)

    def _awaits_creation(self, name: str) -> bool:
        """Say whether the annotation began with an edit that brought its image: its creation is older than that."""
        return any(one.asked == "created" for one in self.view.held(self.trust.project, name))

    # ---- messages that only change a status

    def _statuses(self, submission: Submission, names: Sequence[str]) -> Iterator[Outcome]:
        """Yield the outcome of each name; there may be thousands."""
        change = _validated if submission.kind == "validated" else _deleted
        known = self.view.statuses(self.trust.project, names)
        for name in names:
            status = known.get(name)
            overtaken = self._overtaken(submission, name) if submission.replays else None
            if overtaken is not None:
                yield overtaken
            elif status is not None and self._stands(name):
                yield _superseded(name, status)
            elif status is None:
                held = self.view.held(self.trust.project, name)
                yield holding.hold_status(name, held, validated=submission.kind == "validated")
            else:
                yield change(status) or self._as_it_is(status)

    def _stands(self, name: str) -> bool:
        """Say whether an annotation stays as it is, since the stream may not overrule people."""
        return not self.trust.may_overrule and self.trust.yields_to(self.view.entry(self.trust.project, name))

    # ---- repeats

    def _as_it_is(self, status: Status) -> Outcome:
        return Outcome(
            name=status.name,
            outcome="duplicated",
            revision=status.revision,
            validated=status.validated,
            repeats=self.view.input_of(status.offset),
        )

    def _repeats(self, names: Sequence[str], first: Position) -> Iterator[Outcome]:
        if not names:
            yield Outcome(outcome="duplicated", repeats=first)
        known = self.view.statuses(self.trust.project, names)
        for name in names:
            status = known.get(name)
            yield Outcome(
                name=name,
                outcome="duplicated",
                revision=status.revision if status else None,
                validated=status.validated if status else None,
                repeats=first,
            )


@dataclass(frozen=True)
class _Said:
    """The content of a message, in the words of the schema that holds in its turn."""

    submission: Submission
    image: ImageRef | None
    shapes: tuple[Shape, ...]
    schema: ClassSchema
    validated: bool
    notes: tuple[Note, ...]

    def annotation(self, name: str, before: Annotation | None) -> Annotation:
        """Return the annotation as the message makes it; what it does not say stays as it was."""
        said = self.submission
        image = self.image or (before.image if before else None)
        if image is None:
            raise ValueError("an annotation without an image")
        return Annotation(
            image=image,
            medium=said.medium or (before.medium if before else name),
            split=said.split or (before.split if before else None),
            shapes=self.shapes,
            labels=labels_digest(self.shapes),
            source=said.source,
            tags=said.tags or (before.tags if before else ()),
            schema_digest=self.schema.digest,
        )

    def edit(self) -> HeldEdit:
        """Return the content as it is held."""
        said = self.submission
        return HeldEdit(shapes=self.shapes, source=said.source, tags=said.tags, schema_digest=self.schema.digest)


def _content_of(annotation: Annotation) -> tuple[str, str, tuple[str, ...]]:
    return annotation.image.sha256, annotation.labels, annotation.tags


def _validated(status: Status) -> Outcome | None:
    if status.deleted:
        return _superseded(status.name, status)
    if status.validated:
        return None
    return Outcome(name=status.name, outcome="validated", revision=status.revision + 1, validated=True)


def _deleted(status: Status) -> Outcome | None:
    if status.deleted:
        return None
    return Outcome(name=status.name, outcome="deleted", revision=status.revision + 1, validated=False)


def _superseded(name: str, status: Status | None) -> Outcome:
    revision = status.revision if status else None
    return Outcome(name=name, outcome="superseded", revision=revision, validated=status.validated if status else None)
