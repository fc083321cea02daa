"""Why a format of a training is refused, in words and numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from exporter.domain import Trained, export_job_id
from exporter.exporting.limits import disagreement, may_be_unproven, shows_nothing
from exporter.exporting.orders import ExportLeft
from labelstream.events.model import Agreement, AgreementLimits, ModelRefused
from labelstream.exports import Announcement, why_nobody
from labelstream.formats import Format
from labelstream.models import Refusal
from labelstream.values import FileRef


@dataclass(frozen=True)
class Why:
    """What is said of a format that is refused."""

    rule: str
    reason: str
    agreement: Agreement | None = None
    limits: AgreementLimits | None = None
    picture: FileRef | None = None

    def refused(self, trained: Trained, format_name: str | None) -> ModelRefused:
        """Return the event; without a format, the training has no model."""
        return ModelRefused(
            model=export_job_id(trained.project, trained.training, format_name or ""),
            input=trained.input,
            job=trained.job,
            rule=self.rule,
            reason=self.reason,
            format=format_name,
            agreement=self.agreement,
            limits=self.limits,
            picture=self.picture,
        )


def judge(wanted: Format, left: ExportLeft, allow_unproven: Collection[str]) -> Why | None:
    """Say why what was built must not be published; None when it may."""
    facts = left.facts
    may_be = may_be_unproven(wanted, allow_unproven)
    if facts.agreement is None:
        said = f"it was built, and not run: {facts.unproven or 'nobody said why'}"
        return None if may_be else Why("export.unproven", said)
    if facts.limits is None:
        return Why("export.no_limits", "nobody said which limits it was held to", facts.agreement)
    problem = disagreement(facts.agreement, facts.limits)
    if problem is not None:
        return Why("export.disagrees", problem, facts.agreement, facts.limits, left.picture)
    if shows_nothing(facts.agreement, facts.limits) and not may_be:
        said = f"the trained weights find nothing in {facts.agreement.images} test images: any file would agree"
        return Why("export.unproven", said, facts.agreement, facts.limits)
    return None


def nobody_came(wanted: Format, waited_h: float, there: Sequence[Announcement]) -> Why:
    """Say that a format waited too long for somebody who can build it."""
    return Why("export.no_worker", f"it waited {waited_h:.1f} h and {why_nobody(wanted.queue, there)}")


def none_is_left(refusals: Sequence[Refusal]) -> Why:
    """Say that every format of a training was refused."""
    said = [f"{each.event.format} ({each.event.rule}: {each.event.reason})" for each in refusals]
    return Why("export.no_format", f"every format was refused: {', '.join(said)}")
