"""What people ask for: to promote a model, to roll back, to withdraw one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from exporter.registry.promoting import Cause, Promoting
from labelstream.errors import Rejected
from labelstream.model_requests import Answer, ModelRequest, Promote, Rollback, Withdraw
from labelstream.models import ModelState

A = TypeVar("A", Promote, Rollback, Withdraw)


@dataclass(frozen=True)
class Promotes:
    """Lets a model serve, whatever the policy says."""

    promoting: Promoting

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Answer with the promotion's number. Raises Rejected, Unavailable."""
        state = _model(self.promoting, project, _asked(request, Promote).model)
        return await _promoted(self.promoting, state, request, "request")


@dataclass(frozen=True)
class Rollbacks:
    """Lets a model serve again that served once."""

    promoting: Promoting

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Answer with the promotion's number. Raises Rejected, Unavailable."""
        state = _model(self.promoting, project, _asked(request, Rollback).to)
        if not state.promotions:
            raise Rejected(
                "rollback.never_served",
                f"the model {state.model} never served",
                "`labelstream models promote` lets it serve for the first time.",
            )
        return await _promoted(self.promoting, state, request, "rollback")


@dataclass(frozen=True)
class Withdraws:
    """Sees to it that a model is never promoted again, and that nobody gets a grant of it."""

    promoting: Promoting
    forget_grants: Callable[[str, str], Awaitable[object]]  # project and model

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Withdraw, and delete the grants, also those that an earlier try left. Raises Rejected, Unavailable."""
        state = _model(self.promoting, project, _asked(request, Withdraw).model)
        is_new = await self.promoting.withdraw(state, reason=request.why, by=request.by)
        await self.forget_grants(project, state.model)
        return Answer(outcome="done" if is_new else "known", model=state.model, hint=self._others(state))

    def _others(self, state: ModelState) -> str:
        editions = self.promoting.book.editions(state.exported.job)
        left = [each.model for each in editions if each.withdrawn is None]
        return f"The same weights are also in {', '.join(left)}, which is not withdrawn." if left else ""


def _asked(request: ModelRequest, kind: type[A]) -> A:
    if not isinstance(request.what, kind):
        raise TypeError(f"a {request.what.ask} came to the handler of {kind.__name__}")
    return request.what


async def _promoted(promoting: Promoting, state: ModelState, request: ModelRequest, cause: Cause) -> Answer:
    before = promoting.book.promotion(state.project)
    reason = request.why or f"{request.by} asked for it"
    promoted = await promoting.promote(state, reason=reason, cause=cause, by=request.by)
    is_known = before is not None and before.event is promoted
    return Answer(outcome="known" if is_known else "done", model=state.model, number=promoted.number)


def _model(promoting: Promoting, project: str, model: str) -> ModelState:
    state = promoting.book.models.get(model)
    if state is None or state.project != project:
        raise Rejected(
            "model.unknown",
            f"{project} has no model {model}",
            "`labelstream models list` shows the models; the whole id is needed.",
        )
    return state
