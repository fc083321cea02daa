"""Decides what becomes of each annotation that a message names. Pure: it reads the view and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from annotation_ingest.imaging import ACCEPTED
from labelstream.errors import Rejected
from labelstream.events.annotation import Annotation, ImageRef, Outcome
from labelstream.labels import Shape, labels_digest
from labelstream.values import Position
from labelstream.view import AnnotationView, Entry, Held
from labelstream.wire.submission import Submission


@dataclass(frozen=True)
class Trust:
    """What an input stream feeds, and what its producers are trusted with."""

    project: str
    may_validate: bool
    schema_digest: str


@dataclass(frozen=True)
class Content:
    """What a creation or an edit brought, checked and stored."""

    image: ImageRef | None
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Decider:
    """Decides one message after the other; the view holds what was decided before."""

    view: AnnotationView
    trust: Trust

    def decide(self, submission: Submission, content: Content | None) -> tuple[Outcome, ...]:
        """Return the outcome of each name in the message. Raises Rejected when the message as a whole is refused."""
        names = tuple(dict.fromkeys(submission.names))
        first = self._seen(submission)
        if first is not None:
            return tuple(self._repeats(name, first) for name in names)
        if submission.kind == "validated" and not self.trust.may_validate:
            raise Rejected(
                "trust.may_not_validate",
                f"this input stream of the project {self.trust.project} may not validate",
                "Send validations on a stream that is configured with may_validate.",
            )
        if content is not None:
            return (self._content(submission, names[0], content),)
        status = self._validated if submission.kind == "validated" else self._deleted
        return tuple(status(name) for name in names)

    def _seen(self, submission: Submission) -> Position | None:
        """Return the message that this one delivers again.

        Words without an id or a date may be said twice and meant twice ("validate these"), except for a
        creation: saying it again must not take an annotation back to its beginning.
        """
        if submission.anonymous and submission.kind != "created":
            return None
        return self.view.seen(self.trust.project, submission.message_key)

    # ---- messages that bring content

    def _content(self, submission: Submission, name: str, content: Content) -> Outcome:
        entry = self.view.entry(self.trust.project, name)
        validated = submission.validated and self.trust.may_validate
        if entry is None or entry.deleted:
            return self._first(submission, name, content, entry, validated)
        changed = self._annotation(submission, content, entry.annotation)
        same = (changed.image.sha256, changed.labels) == (entry.annotation.image.sha256, entry.annotation.labels)
        if not same:
            return Outcome(
                name=name, outcome="edited", revision=entry.revision + 1, validated=validated, annotation=changed
            )
        if validated and not entry.validated:
            return Outcome(name=name, outcome="validated", revision=entry.revision + 1, validated=True)
        if entry.validated and not validated and submission.kind == "edited":
            return Outcome(name=name, outcome="unvalidated", revision=entry.revision + 1, validated=False)
        return self._as_it_is(entry)

    def _first(
        self, submission: Submission, name: str, content: Content, entry: Entry | None, validated: bool
    ) -> Outcome:
        """Record an annotation that is not there (any more)."""
        if submission.kind == "edited" and entry is not None:
            return Outcome(name=name, outcome="superseded", revision=entry.revision, validated=False)
        if content.image is None:
            raise Rejected(
                "annotation.unknown",
                "the annotation to be edited was never recorded, and the edit brings no image",
                f"Send the creation with its image ({ACCEPTED}), then the edit again.",
            )
        held = self.view.held(self.trust.project, name)
        if held is Held.DELETION:
            return Outcome(name=name, outcome="superseded")
        return Outcome(
            name=name,
            outcome="recorded",
            revision=entry.revision + 1 if entry else 1,
            validated=validated or held is Held.VALIDATION,
            annotation=self._annotation(submission, content, None),
        )

    def _annotation(self, submission: Submission, content: Content, before: Annotation | None) -> Annotation:
        image = content.image or (before.image if before else None)
        if image is None:
            raise ValueError("an annotation without an image")
        return Annotation(
            image=image,
            medium=submission.medium or (before.medium if before else submission.names[0]),
            split=submission.split or (before.split if before else None),
            shapes=content.shapes,
            labels=labels_digest(content.shapes),
            source=submission.source,
            schema_digest=self.trust.schema_digest,
        )

    # ---- messages that only change a status

    def _validated(self, name: str) -> Outcome:
        entry = self.view.entry(self.trust.project, name)
        if entry is None:
            return Outcome(name=name, outcome="held", validated=True)
        if entry.deleted:
            return Outcome(name=name, outcome="superseded", revision=entry.revision, validated=False)
        if entry.validated:
            return self._as_it_is(entry)
        return Outcome(name=name, outcome="validated", revision=entry.revision + 1, validated=True)

    def _deleted(self, name: str) -> Outcome:
        entry = self.view.entry(self.trust.project, name)
        if entry is None:
            return Outcome(name=name, outcome="held")
        if entry.deleted:
            return self._as_it_is(entry)
        return Outcome(name=name, outcome="deleted", revision=entry.revision + 1, validated=False)

    # ---- repeats

    def _as_it_is(self, entry: Entry) -> Outcome:
        return Outcome(
            name=entry.name,
            outcome="duplicated",
            revision=entry.revision,
            validated=entry.validated,
            repeats=self.view.input_of(entry.offset),
        )

    def _repeats(self, name: str, first: Position) -> Outcome:
        entry = self.view.entry(self.trust.project, name)
        return Outcome(
            name=name,
            outcome="duplicated",
            revision=entry.revision if entry else None,
            validated=entry.validated if entry else None,
            repeats=first,
        )
