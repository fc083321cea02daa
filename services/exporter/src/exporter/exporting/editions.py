"""The next bundle of a training: what is built now, beside what an earlier edition of the same weights holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.domain import Trained
from exporter.exporting.looking import Built, Failed, Looking, Stand
from exporter.exporting.orders import ExportLeft
from exporter.exporting.publishing import Edition, FormatLost, Publishing
from exporter.exporting.refusing import Why
from exporter.exporting.voice import Voice
from labelstream.errors import Rejected
from labelstream.formats import Format
from labelstream.models import ModelBook


@dataclass(frozen=True)
class Editions:
    """Publishes bundles."""

    book: ModelBook
    voice: Voice
    looking: Looking
    publishing: Publishing
    formats: tuple[str, ...]  # in their order in bundles

    async def publish(self, trained: Trained, to_come: Mapping[str, Stand]) -> dict[str, Why]:
        """Publish what is built of a training; return the formats that can't be, and why. Raises Unavailable.

        Formats of the edition before that have to be made again are waited for: nothing that was there goes missing.
        """
        new = [name for name, stand in to_come.items() if isinstance(stand, Built)]
        editions = self.book.editions(trained.job)
        before = [each.name for each in editions[-1].exported.artifacts] if editions else []
        stands = {name: await self.looking.look(trained, Format.parse(name)) for name in before}
        lost = [f"{name} ({stand.failure.reason})" for name, stand in stands.items() if isinstance(stand, Failed)]
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
        cause = trained.envelope
        await self.voice.say(
            exported, trained.project, cause.flow, cause.traceparent, answers=f"{trained.job}/{edition.number}"
        )
        return {}

    def _place(self, left: ExportLeft) -> tuple[int, str]:
        name = left.facts.name
        return (self.formats.index(name) if name in self.formats else len(self.formats)), name


def _incomplete(lost: str) -> Why:
    return Why("export.edition_incomplete", f"a model with it would lack what the one before has: {lost}")
