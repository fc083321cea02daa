"""What the producer says: the lives of annotations, told with repeats, in the wrong order, and with mistakes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from chaos.frames import Scene, scenes
from labelstream.streams.message import Message
from labelstream.wire import native

VALIDATED = 0.8  # of the creations
KEPT = 300  # messages that may be repeated
# What comes how often, of a hundred messages.
SHARES = {"created": 42, "edited": 24, "validated": 8, "deleted": 5, "again": 12, "early": 3, "broken": 6}


@dataclass
class Story:
    """Tells a story without end: the same seed, the same messages."""

    seed: int
    _chance: random.Random = field(init=False)
    _scenes: Iterator[Scene] = field(init=False)
    _told: list[Message] = field(default_factory=list)
    _known: list[Scene] = field(default_factory=list)
    _ahead: list[Scene] = field(default_factory=list)  # edited before they are created
    _count: int = 0

    def __post_init__(self) -> None:
        """Begin."""
        self._chance = random.Random(self.seed)
        self._scenes = scenes(self.seed)

    def next(self) -> tuple[str, Message]:
        """Return the next message, and what it is; one that is sent again has the id that it had."""
        what = self._chance.choices(list(SHARES), list(SHARES.values()))[0]
        if not self._known:
            what = "created"
        message = self._tell(what)
        if message.message_id is None:
            message = replace(message, message_id=f"chaos-{self._count:06}")
        self._count += 1
        self._told = [*self._told[-KEPT:], message]
        return what, message

    def _tell(self, what: str) -> Message:
        tell: dict[str, Callable[[], Message]] = {
            "created": self._created,
            "edited": lambda: self._edited(self._chance.choice(self._known)),
            "validated": lambda: native.write_bulk("validated", self._some()),
            "deleted": lambda: native.write_bulk("deleted", self._some()[:1]),
            "again": lambda: self._chance.choice(self._told),
            "early": self._early,
            "broken": self._broken,
        }
        return tell[what]()

    def _created(self) -> Message:
        scene = self._ahead.pop() if self._ahead and self._chance.random() < 0.3 else next(self._scenes)
        self._known.append(scene)
        return _submitted(scene, validated=self._chance.random() < VALIDATED)

    def _edited(self, scene: Scene) -> Message:
        boxes = [box for box in map(self._moved, scene.boxes) if self._chance.random() > 0.1]
        return native.write(scene.name, None, boxes, kind="edited", validated=True)

    def _early(self) -> Message:
        scene = next(self._scenes)
        self._ahead.append(scene)
        return self._edited(scene)

    def _some(self) -> list[str]:
        return [
            scene.name for scene in self._chance.sample(self._known, min(len(self._known), self._chance.randint(1, 4)))
        ]

    def _moved(self, box: dict[str, Any]) -> dict[str, Any]:
        """Move a box by a hair, and never over the border."""
        by = self._chance.uniform(-0.01, 0.01)
        return {**box, "x": min(max(box["x"] + by, box["w"] / 2), 1 - box["w"] / 2)}

    def _broken(self) -> Message:
        scene, number = next(self._scenes), self._count
        broken = (
            lambda: replace(_submitted(scene), body=self._chance.randbytes(40)),
            lambda: _submitted(replace(scene, image=scene.image[: len(scene.image) // 3])),
            lambda: _submitted(replace(scene, boxes=({"class": "dragon", "x": 0.5, "y": 0.5, "w": 0.1, "h": 0.1},))),
            lambda: _submitted(
                replace(
                    scene,
                    boxes=tuple({**box, "x": 1.4} for box in scene.boxes)
                    or ({"class": "car", "x": 1.4, "y": 0.5, "w": 0.1, "h": 0.1},),
                )
            ),
            lambda: native.write(f"imageless-{number}", None, []),
        )
        return self._chance.choice(broken)()


def _submitted(scene: Scene, *, validated: bool = True) -> Message:
    return native.write(scene.name, scene.image, scene.boxes, medium=scene.medium, validated=validated)
