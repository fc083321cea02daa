"""Which models are considered for service."""

from __future__ import annotations

from labelstream.models import ModelBook, ModelState


def projects_of(book: ModelBook) -> list[str]:
    """Return the projects that have a model."""
    return list(dict.fromkeys(state.project for state in book.models.values()))


def candidates(book: ModelBook, project: str) -> list[ModelState]:
    """Return the models of the trainings exported after other weights were promoted last, the best first.

    The best first, because a promotion ends the candidacy of all that came before it: which model serves must not
    depend on how many were exported when the exporter last stopped. A training stands for its newest edition: the
    weights are the same, so a later edition alone makes no candidate, and what was withdrawn once is none.
    """
    since = max((each.offset for each in book.promotions.get(project, []) if each.event.cause != "edition"), default=-1)
    found = []
    for state in (each for each in book.of(project) if each.offset > since):
        editions = book.editions(state.exported.job)
        if state is editions[0] and not _withdrawn(editions):
            found.append(editions[-1])
    return sorted(found, key=lambda state: (-state.exported.test.map50_95, state.offset))


def later_edition(book: ModelBook, project: str) -> ModelState | None:
    """Return the edition with more formats of the weights in service that came after their promotion."""
    champion = book.champion(project)
    if champion is None:
        return None
    editions = book.editions(champion.exported.job)
    newest = editions[-1]
    is_later = newest.exported.edition > champion.exported.edition and newest.offset > _last_offset(book, project)
    return newest if is_later and not _withdrawn(editions) else None


def _last_offset(book: ModelBook, project: str) -> int:
    promotion = book.promotion(project)
    return promotion.offset if promotion else -1


def _withdrawn(editions: list[ModelState]) -> bool:
    return any(state.withdrawn is not None for state in editions)
