"""What a model comes to: its formats, whether it serves, and why not; lists, pages and `--json` all tell this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from labelstream.champions import Compared, champion_at, compared
from labelstream.exports import open_formats
from labelstream.models import ModelBook, ModelState, Refusal
from labelstream_cli.models.book import Books

FormatState = Literal["proved", "unproven", "waiting", "refused"]
Standing = Literal["serves", "served", "not promoted", "withdrawn"]
SIGNED = "+.3f"


@dataclass(frozen=True)
class FormatFact:
    """A format that the model has, waits for, or does not get."""

    name: str
    state: FormatState


def formats_of(book: ModelBook, state: ModelState) -> list[FormatFact]:
    """Return a model's formats: those that it has, then what its newest edition waits for, then the refused ones."""
    exported = state.exported
    found = [
        FormatFact(
            each.name, "unproven" if each.agreement is None else "proved"
        )  # what runs agreed, or it were refused
        for each in exported.artifacts
    ]
    found += [FormatFact(name, "waiting") for name in waiting_of(book, state)]
    has = {each.name for each in found}
    return found + [FormatFact(name, "refused") for name in sorted(book.refused_formats(exported.job) - has)]


def waiting_of(book: ModelBook, state: ModelState) -> tuple[str, ...]:
    """Return the formats that may come with a later edition; an older edition waits for nothing."""
    is_newest = book.editions(state.exported.job)[-1].model == state.model
    return open_formats(book, state.exported.job, ()) if is_newest else ()


def standing_of(book: ModelBook, state: ModelState) -> Standing:
    """Say whether a model serves."""
    if state.withdrawn is not None:
        return "withdrawn"
    champion = book.champion(state.project)
    if champion is not None and champion.model == state.model:
        return "serves"
    return "served" if state.promotions else "not promoted"


def beside_champion(books: Books, state: ModelState) -> Compared | None:
    """Compare a model with the one that served when it was exported; None when none did."""
    champion = champion_at(books.models, state.project, state.offset)
    return compared(books.models, state, champion, books.trained(state)) if champion is not None else None


def why_not(books: Books, state: ModelState) -> str:
    """Say why a model does not serve: who withdrew it and why, or in figures why it was never promoted."""
    if state.withdrawn is not None:
        by = f" by {state.withdrawn.by}" if state.withdrawn.by else ""
        return f"withdrawn{by}: {state.withdrawn.reason}"
    if state.promotions:
        return ""
    if any(each.promotions for each in books.models.editions(state.exported.job)):
        return "another edition of the same weights was promoted"
    found = beside_champion(books, state)
    if found is None:
        return f"nothing served before it; mAP50-95 {state.exported.test.map50_95:.3f}"
    fall = next(((name, change) for name, change in found.changes.items() if change < 0), None)
    deepest = f"; {fall[0]} fell most, by {-fall[1]:.3f}" if fall else ""
    return f"{found.in_words()} ({found.gain:{SIGNED}}{deepest})"


def unanswered_refusals(book: ModelBook) -> list[Refusal]:
    """Return the refusals of whole trainings, oldest first."""
    return [each for refusals in book.refusals.values() for each in refusals if each.event.format is None]


def as_entry(books: Books, state: ModelState) -> dict[str, Any]:
    """Return a model for machines, as lists have it."""
    exported, standing = state.exported, standing_of(books.models, state)
    return {
        "model": state.model,
        "project": state.project,
        "job": exported.job,
        "dataset": exported.dataset_id,
        "exported": as_time(state.envelope.time_ms),
        "edition": exported.edition,
        "formats": [vars(each) for each in formats_of(books.models, state)],
        "map50": exported.test.map50,
        "map50_95": exported.test.map50_95,
        "standing": standing,
        "in_service": standing == "serves",
        "replicas_without": [each.event.model_dump(mode="json") for each in books.replicas.without(state.model)],
        "withdrawn": state.withdrawn is not None,
        "withdrawal": state.withdrawn.model_dump(mode="json") if state.withdrawn else None,
        "promotions": [each.event.number for each in state.promotions],
        "not_promoted": (None if state.promotions else why_not(books, state)) or None,
    }


def refusal_as_entry(refusal: Refusal) -> dict[str, Any]:
    """Return the refusal of a whole training for machines."""
    event = refusal.event
    time = as_time(refusal.time_ms)
    return {"job": event.job, "project": refusal.project, "refused": time, "rule": event.rule, "reason": event.reason}


def as_time(time_ms: int) -> str:
    """Return a time as ISO 8601 has it."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
