"""Which content has its variants already: a fold over our own stream."""

from __future__ import annotations

from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope


class Done:
    """The (image, labels) digests that a project's archives hold under one recipe."""

    def __init__(self, project: str, recipe: str) -> None:
        self._project = project
        self._recipe = recipe
        self._contents: set[bytes] = set()  # 64 bytes each

    def fold(self, _offset: int, envelope: Envelope) -> None:
        """Take one event of `batch-events` into account."""
        event = envelope.event
        if isinstance(event, BatchAugmented) and (envelope.project, event.recipe) == (self._project, self._recipe):
            self._contents.update(_packed((member.image, member.labels)) for member in event.members)

    def __call__(self, content: tuple[str, str]) -> bool:
        """Say whether this content was augmented."""
        return _packed(content) in self._contents


def _packed(content: tuple[str, str]) -> bytes:
    return bytes.fromhex(content[0] + content[1])
