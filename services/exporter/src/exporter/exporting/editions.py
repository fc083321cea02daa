"""The next bundle of a training: what is built now, beside what an earlier edition of the same weights holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.domain import Trained
from exporter.exporting.looking import Built, Failed, Looking, Stand
from exporter.exporting.options import ExportingOptions
from exporter.exporting.orders import ExportLeft
from exporter.exporting.publishing import Edition, FormatLost, Publishing
from exporter.exporting.refusing import Why, judge
from exporter.exporting.voice import Voice
from labelstream.errors import Rejected
from labelstream.events.model import ArtifactRef
from labelstream.exports import open_formats
from labelstream.formats import Format
from labelstream.models import ModelBook


@dataclass(frozen=True)
class Editions:
    """Publishes bundles."""

    book: ModelBook
    voice: Voice
    looking: Looking
    publishing: Publishing
    options: ExportingOptions

    async def publish(self, trained: Trained, to_come: Mapping[str, Stand]) -> dict[str, Why]:
        """Publish what is built of a training; return the formats that can't be, and why. Raises Unavailable.

        Formats of the edition before that have to be made again are waited for, and judged: nothing that was there
        goes missing, and nothing goes out that was not proved.
        """
        new = [name for name, stand in to_come.items() if isinstance(stand, Built)]
        editions = self.book.editions(trained.job)
        before = {each.name: each for each in editions[-1].exported.artifacts} if editions else {}
        stands = {name: await self.looking.look(trained, Format.parse(name)) for name in before}
        whys = {name: self._why_lost(before[name], stand) for name, stand in stands.items()}
        lost = [f"{name} ({why})" for name, why in whys.items() if why is not None]
        if lost:
            return dict.fromkeys(new, _incomplete(", ".join(lost)))
        lefts = [stand.left for stand in (stands | dict(to_come)).values() if isinstance(stand, Built)]
        if len(lefts) < len(before) + len(new):
            return {}
        edition = Edition(
            number=editions[-1].exported.edition + 1 if editions else 1,
            lefts=tuple(sorted(lefts, key=self._place)),
            waiting=tuple(name for name in to_come if name not in new),
        )
        try:
            exported = await self.publishing.publish(trained, edition)
        except FormatLost as error:
            why = Why(error.rule, error.reason)
            return {error.format: why} if error.format in new else dict.fromkeys(new, _incomplete(error.reason))
        except Rejected as error:
            return dict.fromkeys(new, Why(error.rule, error.reason))
        if not open_formats(self.book, trained.job, self.options.formats):
            return {}  # somebody withdrew the weights meanwhile
        cause = trained.envelope
        await self.voice.say(
            exported, trained.project, cause.flow, cause.traceparent, answers=f"{trained.job}/{edition.number}"
        )
        return {}

    def _why_lost(self, before: ArtifactRef, stand: Stand) -> str | None:
        """Say why what an earlier edition holds can't be had any more; None while it can."""
        if isinstance(stand, Failed):
            return stand.failure.reason
        if not isinstance(stand, Built) or stand.left.artifact.sha256 == before.plain_sha256:
            return None
        why = judge(Format.parse(before.name), stand.left, self.options.allow_unproven)  # it was made again
        return why.reason if why else None

    def _place(self, left: ExportLeft) -> tuple[int, str]:
        name, formats = left.facts.name, self.options.formats
        return (formats.index(name) if name in formats else len(formats)), name


def _incomplete(lost: str) -> Why:
    return Why("export.edition_incomplete", f"a model with it would lack what the one before has: {lost}")
