"""What becomes of what people ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from exporter.registry.requests import Promotes, Rollbacks, Withdraws
from labelstream.champions import served_before
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import ModelPromoted
from labelstream.model_requests import Answer, ModelRequest, Promote, Rollback, Withdraw

from .registry_world import Registry


@dataclass
class Grants:
    """Deletes grants; while the store is away it does not."""

    forgotten: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    async def forget(self, project: str, model: str) -> None:
        if self.away:
            raise Unavailable("object store", "maintenance")
        self.forgotten.append((project, model))


def by_ana(what: Promote | Rollback | Withdraw) -> ModelRequest:
    return ModelRequest(what=what, by="ana", why="the night shift asked")


async def promote(registry: Registry, model: str, project: str = "default") -> Answer:
    return await Promotes(registry.promoting)(project, by_ana(Promote(model=model)))


async def rollback(registry: Registry, to: str | None = None) -> Answer:
    before = served_before(registry.book, "default")
    return await Rollbacks(registry.promoting)("default", by_ana(Rollback(to=to or before.model)))


async def test_a_model_is_promoted_by_hand_with_who_and_why(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("b", 0.1)
    assert await promote(registry, "b") == Answer(outcome="done", model="b", number=2)
    *_, promoted = registry.voice.said
    assert isinstance(promoted, ModelPromoted)
    assert (promoted.cause, promoted.by, promoted.reason) == ("request", "ana", "the night shift asked")


async def test_a_promotion_that_is_asked_for_twice_is_known_the_second_time(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("b")
    await promote(registry, "b")
    assert await promote(registry, "b") == Answer(outcome="known", model="b", number=2)
    assert registry.promoted == ["a", "b"]


async def test_a_promotion_by_hand_ends_the_candidacy_of_what_came_before(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("better", 0.9)
    await promote(registry, "a")
    await registry.export("b", 0.1)
    await promote(registry, "b")
    await registry.promoting.consider()
    assert registry.champion() == "b"


@pytest.mark.parametrize("project", ["default", "harbour"])
async def test_a_model_that_the_project_does_not_have_is_refused(registry: Registry, project: str) -> None:
    await registry.export("a", project="yard")
    with pytest.raises(Rejected) as refused:
        await promote(registry, "a", project)
    assert (refused.value.rule, refused.value.reason) == ("model.unknown", f"{project} has no model a")


async def test_a_withdrawn_model_is_never_promoted(registry: Registry) -> None:
    await registry.served("a", "b")
    await registry.promoting.withdraw(registry.book.models["a"], reason="mislabelled", by="ben")
    for ask in (promote(registry, "a"), rollback(registry, "a")):
        with pytest.raises(Rejected) as refused:
            await ask
        assert refused.value.rule == "model.withdrawn"
        assert "by ben: mislabelled" in refused.value.reason


# ---- going back


async def test_a_rollback_goes_to_the_model_that_served_before(registry: Registry) -> None:
    await registry.served("a", "b")
    assert await rollback(registry) == Answer(outcome="done", model="a", number=3)
    *_, promoted = registry.voice.said
    assert isinstance(promoted, ModelPromoted)
    assert (promoted.cause, promoted.by) == ("rollback", "ana")


async def test_two_rollbacks_go_two_steps_back(registry: Registry) -> None:
    await registry.served("a", "b", "c")
    await rollback(registry)
    await rollback(registry)
    assert registry.promoted == ["a", "b", "c", "b", "a"]


async def test_a_rollback_passes_over_withdrawn_models_and_editions_of_the_same_weights(registry: Registry) -> None:
    await registry.served("a", "b", "c")
    await registry.export("c2", job="job of c", edition=2)
    await registry.promoting.consider()
    await registry.promoting.withdraw(registry.book.models["b"], reason="", by="ben")
    assert registry.champion() == "c2"
    assert (await rollback(registry)).model == "a"


async def test_a_rollback_goes_to_any_model_that_served_once(registry: Registry) -> None:
    await registry.served("a", "b", "c")
    assert (await rollback(registry, "a")).number == 4
    assert await rollback(registry, "a") == Answer(outcome="known", model="a", number=4)
    assert (await rollback(registry, "c")).number == 5


async def test_a_model_that_never_served_is_no_goal_of_a_rollback(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("b")
    with pytest.raises(Rejected) as refused:
        await rollback(registry, "b")
    assert refused.value.rule == "rollback.never_served"


async def test_a_rollback_that_is_delivered_twice_goes_back_once(registry: Registry) -> None:
    await registry.served("a", "b", "c")
    asked = by_ana(Rollback(to="b"))
    first, second = [await Rollbacks(registry.promoting)("default", asked) for _ in range(2)]
    assert (first.outcome, second.outcome, registry.promoted[3:]) == ("done", "known", ["b"])


async def test_what_was_rolled_back_from_does_not_come_back_by_itself(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("b", 0.6)
    await registry.promoting.consider()
    await rollback(registry)
    await registry.promoting.consider()
    assert registry.champion() == "a"


# ---- withdrawing


async def test_a_withdrawn_model_loses_its_grants_and_the_log_says_who_and_why(registry: Registry) -> None:
    await registry.served("a", "b")
    grants = Grants()
    answer = await Withdraws(registry.promoting, grants.forget)("default", by_ana(Withdraw(model="a")))
    assert answer == Answer(outcome="done", model="a")
    assert [(event.by, event.reason) for event in registry.withdrawn] == [("ana", "the night shift asked")]
    assert grants.forgotten == [("default", "a")]


async def test_a_withdrawal_that_was_interrupted_deletes_the_grants_the_next_time(registry: Registry) -> None:
    await registry.served("a", "b")
    grants = Grants(away=True)
    withdraws = Withdraws(registry.promoting, grants.forget)
    with pytest.raises(Unavailable):
        await withdraws("default", by_ana(Withdraw(model="a")))
    grants.away = False
    assert (await withdraws("default", by_ana(Withdraw(model="a")))).outcome == "known"
    assert (len(registry.withdrawn), grants.forgotten) == (1, [("default", "a")])


async def test_the_model_in_service_can_not_be_withdrawn(registry: Registry) -> None:
    await registry.served("a")
    grants = Grants()
    with pytest.raises(Rejected) as refused:
        await Withdraws(registry.promoting, grants.forget)("default", by_ana(Withdraw(model="a")))
    assert refused.value.rule == "model.serves"
    assert "Roll back first" in refused.value.hint
    assert (registry.withdrawn, grants.forgotten) == ([], [])


async def test_who_withdraws_one_edition_is_told_of_the_others(registry: Registry) -> None:
    await registry.served("a", "b")
    await registry.export("a2", job="job of a", edition=2)
    answer = await Withdraws(registry.promoting, Grants().forget)("default", by_ana(Withdraw(model="a")))
    assert answer.hint == "The same weights are also in a2, which is not withdrawn."
