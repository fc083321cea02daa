"""What a decider is made of, and how it is put together."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import Blobs
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import JobQueue
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.trainings import JobBook
from labelstream.view import AnnotationView
from labelstream_datasets.building.index import BatchIndex
from trainer.deciding.annotated import WhenAnnotated, not_known
from trainer.deciding.check import Minimum
from trainer.deciding.counter import Counter
from trainer.deciding.datasets import Datasets
from trainer.deciding.diaries import Diaries
from trainer.deciding.following import Following
from trainer.deciding.keeping_time import Timekeeper
from trainer.deciding.policy import Policy
from trainer.deciding.requesting import Requesting
from trainer.deciding.starting import Deciding
from trainer.deciding.traces import Traces
from trainer.deciding.voice import Voice
from trainer.domain import Champions
from trainer.handler import NAME, Decider
from trainer.recipe import TrainingRecipe
from trainer.settings import TrainerGroup


@dataclass(frozen=True)
class Parts:
    """What a decider is made of."""

    view: AnnotationView
    journal: Journal
    queue: JobQueue
    blobs: Blobs
    own: TrainerGroup
    projects: tuple[str, ...]
    policy: Policy
    recipe: TrainingRecipe
    health: Health
    book: JobBook
    index: BatchIndex = field(default_factory=BatchIndex)
    champions: Champions = field(default_factory=Champions)
    annotated_ms: WhenAnnotated = not_known
    traces: Traces = field(default_factory=Traces)

    def decider(self) -> Decider:
        """Put the decider together."""
        own, book, blobs, health = self.own, self.book, self.blobs, self.health
        voice = Voice(self.journal, health)
        datasets = Datasets(self.view, self.index, blobs, own.dataset)
        requesting = Requesting(book, voice, datasets, blobs, health, self.annotated_ms, self.traces)
        following = Following(
            voice=voice,
            book=book,
            desk=Desk(self.queue, Leases(blobs, NAME, own.lease_s), blobs, grace_s=own.lease_s),
            blobs=blobs,
            champions=self.champions,
            minimum=Minimum(test_images=own.min_test_images, train_images_per_class=own.min_train_images_per_class),
            diaries=Diaries(voice, blobs),
        )
        schedule = self.policy.schedule
        return Decider(
            book=book,
            counter=Counter(self.queue, blobs, book, requesting, following, self.recipe, self.projects, health),
            deciding=Deciding(
                policy=self.policy,
                timekeeper=Timekeeper(schedule, blobs) if schedule else None,
                view=self.view,
                book=book,
                requesting=requesting,
                recipe=self.recipe,
                health=health,
            ),
            following=following,
            projects=self.projects,
            health=health,
        )
