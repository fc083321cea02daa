"""Whatever happened before: nothing that a root reaches is in the plan, and everything else that is old is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labelstream import keys
from labelstream.blobs.ports import BlobInfo
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, Event
from labelstream.events.batch import BatchAugmented, Range, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import (
    DatasetRef,
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingRequested,
)
from labelstream.values import FileRef, Position, digest_of, sha256_hex
from labelstream_cli.gc.book import Book
from labelstream_cli.gc.plan import plan
from labelstream_cli.gc.roots import Roots

from .gc_world import FILE, METRICS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
GRACE = timedelta(days=7)
PLACE = Position(stream="annotations", offset=0)
IMAGES, ARCHIVES, DATASETS, RECIPES, JOBS = 2, 6, 2, 3, 2  # few, so that what happens meets

few = st.integers
history = st.lists(
    st.one_of(
        st.tuples(st.just("record"), few(0, IMAGES - 1)),
        st.tuples(st.just("erase"), few(0, IMAGES - 1)),
        st.tuples(
            st.just("batch"), few(0, RECIPES - 1), st.lists(few(0, ARCHIVES - 1), max_size=3), few(0, 3), few(0, 3)
        ),
        st.tuples(st.just("rewrite"), few(0, ARCHIVES - 1), st.none() | few(0, ARCHIVES - 1)),
        st.tuples(st.just("request"), few(0, JOBS - 1), few(0, DATASETS - 1)),
        st.tuples(st.sampled_from(["finish", "fail", "cancel", "refuse"]), few(0, JOBS - 1)),
        st.tuples(st.just("export"), few(0, JOBS - 1)),
        st.tuples(st.sampled_from(["withdraw", "promote"]), few(0, JOBS - 1)),
    ),
    min_size=10,
    max_size=40,
)


def image(number: int) -> str:
    return keys.image("p", sha256_hex(f"{number}".encode()), "png")


def archive(number: int) -> str:
    return keys.archive("p", digest_of(number))


def file_of(number: int) -> FileRef:
    return FileRef(key=archive(number), sha256="0" * 64, size_bytes=1)


def dataset(number: int) -> DatasetRef:
    return DatasetRef(id=f"d{number}", description=FILE, cut=PLACE, samples={}, test_images=0)


@dataclass
class Jobs:
    """Makes an operation an event, and leaves out what no service would say."""

    of: dict[int, int] = field(default_factory=dict)  # job → dataset
    over: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    models: dict[int, int] = field(default_factory=dict)  # job → model → dataset

    def may(self, operation: tuple[Any, ...]) -> bool:
        what, job = operation[0], operation[1]
        if what == "request":
            fresh = job not in self.of
            self.of.setdefault(job, operation[-1])
            return fresh
        if what in ("finish", "fail", "cancel"):
            possible = job in self.of and job not in self.over
            self.over |= {job} if possible else set()
            self.finished |= {job} if possible and what == "finish" else set()
            return possible
        if what in ("export", "refuse"):
            return job in self.finished
        if what in ("withdraw", "promote"):
            return job in self.models
        return True


def events(operations: Sequence[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Event]]:
    """Yield what happened, with the events that tell it."""
    jobs = Jobs()
    for operation in operations:
        if jobs.may(operation):
            if operation[0] == "export":
                jobs.models[operation[1]] = jobs.of[operation[1]]
            yield operation, event_of(operation, jobs)


def event_of(operation: tuple[Any, ...], jobs: Jobs) -> Event:
    what, number = operation[0], operation[1]
    job = f"j{number}"
    if what == "record":
        digest = sha256_hex(f"{number}".encode())
        shown = ImageRef(key=image(number), sha256=digest, size_bytes=1, format="png", width=1, height=1)
        content = Annotation(image=shown, medium="m", labels="1" * 64, schema_digest="2" * 64)
        outcome = Outcome(name="n", outcome="recorded", revision=1, validated=False, annotation=content)
        return AnnotationSettled(input=PLACE, message_key="k", wire="native", outcomes=(outcome,))
    if what == "erase":
        digests = (sha256_hex(f"{number}".encode()),)
        return AnnotationErased(input=PLACE, message_key="k", names=("n",), images=digests)
    if what == "batch":
        files = [file_of(one) for one in operation[2]]
        input_range = Range(stream=ANNOTATION_EVENTS, first=operation[3], last=operation[3] + operation[4])
        return BatchAugmented(
            input=input_range, recipe=f"{number}" * 64, archive=files[0] if files else None,
            more_archives=tuple(files[1:]),
        )  # fmt: skip
    if what == "rewrite":
        by = None if operation[2] is None else file_of(operation[2])
        input_range = Range(stream=ANNOTATION_EVENTS, first=0, last=0)
        rewritten = (Rewritten(archive=archive(number), by=by),)
        return BatchAugmented(input=input_range, recipe="0" * 64, rewritten=rewritten)
    said: dict[str, Event] = {
        "request": TrainingRequested(
            job=job, cause="policy", dataset=dataset(jobs.of.get(number, 0)), recipe={}, recipe_digest="0" * 64
        ),
        "finish": TrainingFinished(
            job=job, attempt=1, dataset=dataset(jobs.of.get(number, 0)), weights=FILE, architecture=FILE,
            best_epoch=1, validation=METRICS, test=METRICS,
        ),
        "fail": TrainingFailed(job=job, attempt=1, rule="r", reason="r"),
        "cancel": TrainingCancelled(job=job, attempt=1),
        "refuse": ModelRefused(model="", input=PLACE, job=job, rule="r", reason="r"),
        "export": ModelExported(
            model=f"m{number}", input=PLACE, job=job, dataset_id=f"d{jobs.of.get(number, 0)}", manifest=FILE,
            signature=FILE, artifacts=(), test=METRICS,
        ),
        "withdraw": ModelWithdrawn(model=f"m{number}", reason="r"),
        "promote": ModelPromoted(
            model=f"m{number}", number=1, manifest=FILE, signature=FILE, statement="", statement_signature="",
            reason="r",
        ),
    }  # fmt: skip
    return said[what]


def reachable(happened: Sequence[tuple[Any, ...]], contents: dict[int, list[int]], by_hand: set[int]) -> set[str]:
    """Say again, slowly and by other means, what must stay."""
    found = set()
    for number in range(IMAGES):
        said = [one[0] for one in happened if one[0] in ("record", "erase") and one[1] == number]
        found |= {image(number)} if said and said[-1] == "record" else set()
    needed = {one for number in needed_datasets(happened) | by_hand for one in contents[number]}
    batches = [(*one, 0) if one[0] == "batch" else ("batch", 0, [], 0, 0, 0) for one in happened
               if one[0] in ("batch", "rewrite")]  # fmt: skip
    if batches:
        reach = {recipe: covered([one for one in batches if one[1] == recipe]) for recipe in range(RECIPES)}
        last = batches[-1][1]
        using = {recipe for recipe in reach if recipe == last or reach[recipe] > reach[last]}
        needed |= {number for one in batches if one[1] in using for number in one[2]}
    forwards = {one[1]: one[2] for one in happened if one[0] == "rewrite"}
    for _ in range(ARCHIVES):
        needed |= {forwards[one] for one in needed if forwards.get(one) is not None}
    return found | {archive(one) for one in needed}


def needed_datasets(happened: Sequence[tuple[Any, ...]]) -> set[int]:
    of = {one[1]: one[2] for one in happened if one[0] == "request"}
    by_kind: dict[str, set[int]] = {}
    for one in happened:
        by_kind.setdefault(one[0], set()).add(one[1])
    promoted = [one[1] for one in happened if one[0] == "promote"][-1:]
    ended = by_kind.get("fail", set()) | by_kind.get("cancel", set())
    without_answer = of.keys() - ended - by_kind.get("refuse", set()) - by_kind.get("export", set())
    standing = by_kind.get("export", set()) - by_kind.get("withdraw", set())
    return {of[job] for job in without_answer | standing | set(promoted)}


def covered(batches: Sequence[tuple[Any, ...]]) -> int:
    answered: set[int] = set()
    for _, _, _, first, more, _ in batches:
        if first == 0 or first - 1 in answered or first in answered:
            answered |= set(range(first + more + 1))
    return max(answered, default=-1)


@settings(deadline=None, max_examples=300)
@given(
    history,
    st.fixed_dictionaries({n: st.lists(few(0, ARCHIVES - 1), max_size=3) for n in range(DATASETS)}),
    st.sets(few(0, DATASETS - 1)),
    st.lists(few(0, 14), min_size=IMAGES + ARCHIVES, max_size=IMAGES + ARCHIVES),
)
def test_exactly_what_no_root_reaches_goes_once_it_is_old(
    operations: list[tuple[Any, ...]], contents: dict[int, list[int]], by_hand: set[int], ages: list[int]
) -> None:
    book, happened = Book("p"), []
    for offset, (operation, event) in enumerate(events(operations)):
        happened.append(operation)
        book.fold(offset, Envelope(event, id="i", source="s", project="p", time_ms=1))
    kept = {int(name[1:]) for name in book.making.datasets(None)} | by_hand
    needed = {archive(number) for one in kept for number in contents[one]}
    every = [*map(image, range(IMAGES)), *map(archive, range(ARCHIVES))]
    objects = [BlobInfo(key, 1, "e", NOW - timedelta(days=days), NOW) for key, days in zip(every, ages, strict=True)]
    roots = Roots.of(book, needed, {}, recent_ms=2)
    began = dict.fromkeys((ANNOTATION_EVENTS, BATCH_EVENTS), 0)
    going = {one.info.key for one in plan("p", roots, objects, GRACE, began).candidates}
    must_stay = reachable(happened, contents, by_hand)
    assert not going & must_stay
    assert going == {one.key for one in objects if NOW - one.modified >= GRACE} - must_stay
