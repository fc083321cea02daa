"""What an input stream feeds, and what its producers are trusted with."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.view import AnnotationView, Entry
from labelstream.wire.submission import Kind, Submission


@dataclass(frozen=True)
class Trust:
    """An input stream's project and rights. What a message says of its sender can only lower them."""

    stream: str
    project: str
    class_schema: ClassSchema  # as configured; messages may have extended it since
    may_validate: bool = True
    may_change_schema: bool = False
    may_erase: bool = False
    may_overrule: bool = True
    image_bytes: int | None = None  # that may be stored for it in all

    def check(self, kind: Kind) -> None:
        """Raise Rejected when messages of this kind are not taken from this stream."""
        if kind == "validated" and not self.may_validate:
            raise self._refusal("validate", "trust.may_not_validate")
        if kind == "schema_changed" and not self.may_change_schema:
            raise self._refusal("change the class schema", "trust.may_not_change_schema")
        if kind == "erased" and not self.may_erase:
            raise self._refusal("erase", "trust.may_not_erase")

    def validates(self, submission: Submission) -> bool:
        """Return whether the content of a message counts as validated."""
        return submission.validated and self.may_validate

    def yields_to(self, entry: Entry | None) -> bool:
        """Return whether what is there stays as it is, whatever a message of this stream says.

        A stream of proposals gives way to people: to what they validated or deleted, and to boxes that they drew.
        """
        if self.may_overrule or entry is None:
            return False
        drawn = entry.annotation.source == "manual" and bool(entry.annotation.shapes)
        return entry.validated or entry.deleted or drawn

    def check_room(self, view: AnnotationView, sha256: str, size_bytes: int) -> None:
        """Raise Rejected when a new image is more than the stream's quota has room for."""
        if self.image_bytes is None or view.image_medium(self.project, sha256) is not None:
            return
        stored = view.stored_bytes(self.stream)
        if stored + size_bytes > self.image_bytes:
            raise Rejected(
                "quota.image_bytes",
                f"{stored} bytes of images are stored for this stream, {size_bytes} more pass its quota of"
                f" {self.image_bytes}",
                "Ask the operator for a larger quota; the message is parked and can be replayed then.",
            )

    def _refusal(self, what: str, rule: str) -> Rejected:
        return Rejected(
            rule,
            f"the input stream {self.stream} of the project {self.project} may not {what}",
            f"Send it on a stream that is configured with {rule.removeprefix('trust.').replace('_not', '')}.",
        )
