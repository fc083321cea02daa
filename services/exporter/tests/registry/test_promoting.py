"""Which model is promoted, and under which number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
import structlog

from exporter.registry import promoting
from exporter.registry.candidates import candidates
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import ModelPromoted
from labelstream.events.training import ChampionMetrics
from labelstream.protection.promotions import check_promotion
from labelstream.values import FileRef

from .registry_world import Registry, metrics


def measured(model: str, map50_95: float, **per_class: float) -> ChampionMetrics:
    return ChampionMetrics(model=model, test=metrics(map50_95, per_class), difference=0.0)


async def test_the_first_model_is_promoted_under_a_signed_statement_with_number_1(registry: Registry) -> None:
    state = await registry.export("a")
    await registry.promoting.consider()
    *_, promoted = registry.voice.said
    assert isinstance(promoted, ModelPromoted)
    assert (promoted.model, promoted.number, promoted.cause, promoted.by) == ("a", 1, "policy", "")
    assert promoted.reason == "the project's first model, mAP50-95 0.500"
    statement = check_promotion(
        promoted.statement, promoted.statement_signature, [registry.public_key], project="default", above=0
    )
    assert (statement.model, statement.manifest_sha256) == ("a", state.exported.manifest.sha256)


async def test_a_candidate_is_held_to_the_champion_as_its_own_training_measured_it(registry: Registry) -> None:
    await registry.served("old")  # 0.5 on its own test
    await registry.export("new", 0.45, beside=measured("old", 0.4))
    await registry.promoting.consider()
    assert registry.champion() == "new"
    await registry.export("easy", 0.6, beside=measured("new", 0.65))
    await registry.promoting.consider()
    assert registry.champion() == "new"


async def test_a_champion_that_changed_since_is_compared_by_the_published_figures(registry: Registry) -> None:
    await registry.served("old", "current")
    await registry.export("new", 0.45, beside=measured("old", 0.1))
    await registry.promoting.consider()
    assert registry.champion() == "current"
    reason = registry.health.report()["not_promoted"]["new"]
    assert "0.450 against 0.500 of model current" in reason
    assert "another one served when it was tested" in reason


async def test_models_of_one_dataset_were_tested_on_the_same_images(registry: Registry) -> None:
    await registry.promoting.promote(await registry.export("a", dataset_id="d"), reason="", cause="policy")
    await registry.export("b", 0.4, dataset_id="d")
    await registry.promoting.consider()
    assert "on the same 40 test images" in registry.health.report()["not_promoted"]["b"]


async def test_another_edition_of_the_champions_weights_counts_as_the_champion(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("a2", job="job of a", edition=2, dataset_id="dataset of a")
    await registry.promoting.consider()
    assert registry.champion() == "a2"
    await registry.export("b", 0.3, beside=measured("a", 0.2))
    await registry.promoting.consider()
    assert registry.champion() == "b"


async def test_of_two_candidates_the_better_one_alone_is_promoted(registry: Registry) -> None:
    await registry.export("a", 0.4)
    await registry.export("b", 0.6)
    await registry.promoting.consider()
    await registry.promoting.consider()
    assert registry.promoted == ["b"]


async def test_a_candidate_that_is_passed_over_makes_room_for_the_next_best(registry: Registry) -> None:
    await registry.promoting.promote(
        await registry.export("old", metrics(0.5, {"car": 0.5})), reason="", cause="policy"
    )
    await registry.export("lopsided", metrics(0.7, {"car": 0.1}))
    await registry.export("sound", metrics(0.6, {"car": 0.6}))
    await registry.promoting.consider()
    assert registry.champion() == "sound"


async def test_projects_have_champions_and_numbers_of_their_own(registry: Registry) -> None:
    await registry.export("a")
    await registry.export("b", project="harbour")
    await registry.promoting.consider()
    assert (registry.champion(), registry.champion("harbour")) == ("a", "b")
    assert [event.number for event in registry.voice.said if isinstance(event, ModelPromoted)] == [1, 1]


async def test_nothing_is_decided_before_it_is_known_whom_a_training_measured(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("b", 0.9)
    await registry.export("c", 0.6)
    training = registry.trained.pop("job of b")
    await registry.promoting.consider()
    assert registry.champion() == "a"
    assert registry.health.report()["not_promoted"] == {"b": "its training was not heard of yet"}
    registry.trained["job of b"] = training
    await registry.promoting.consider()
    assert registry.champion() == "b"


async def test_a_decider_that_starts_again_promotes_nothing_twice(registry: Registry) -> None:
    await registry.export("a")
    for _ in range(3):
        await registry.restarted().consider()
    assert registry.promoted == ["a"]


async def test_a_broker_that_is_away_delays_a_promotion(registry: Registry) -> None:
    await registry.export("a")
    registry.voice.away = 1
    with pytest.raises(Unavailable):
        await registry.promoting.consider()
    await registry.promoting.consider()
    assert registry.promoted == ["a"]


async def test_why_a_candidate_does_not_serve_is_logged_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    own = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[_noted(logged)],
        wrapper_class=structlog.BoundLogger,  # another test may have set up this process to log warnings alone
        cache_logger_on_first_use=False,
    )
    monkeypatch.setattr(promoting, "log", own)
    await registry.served("a")
    await registry.export("b", 0.4)
    for _ in range(3):
        await registry.promoting.consider()
    assert logged == ["candidate.not_promoted"]


def _noted(events: list[str]) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    def note(_logger: Any, _name: str, said: MutableMapping[str, Any]) -> str:
        events.append(said["event"])
        raise structlog.DropEvent

    return note


async def test_by_hand_no_other_weights_serve_and_it_is_said_which_may(tmp_path) -> None:
    registry = Registry.under(tmp_path, promotion="by-hand")
    await registry.export("a")
    await registry.promoting.consider()
    assert registry.champion() is None
    assert "promotion is by hand here" in registry.health.report()["not_promoted"]["a"]


# ---- editions


async def test_a_new_edition_of_the_model_in_service_takes_its_place(tmp_path) -> None:
    registry = Registry.under(tmp_path, promotion="by-hand")
    await registry.served("a")
    await registry.export("a2", job="job of a", edition=2, formats=("onnx-fp32", "openvino-int8"))
    await registry.promoting.consider()
    *_, promoted = registry.voice.said
    assert isinstance(promoted, ModelPromoted)
    assert (promoted.model, promoted.cause) == ("a2", "edition")
    assert promoted.reason == "edition 2 of the model in service, with openvino-int8"


async def test_a_better_model_that_comes_together_with_an_edition_of_the_champion_serves(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("better", 0.9)
    await registry.export("a2", job="job of a", edition=2)
    await registry.promoting.consider()
    assert registry.promoted == ["a", "a2", "better"]
    await registry.restarted().consider()
    assert registry.champion() == "better"


async def test_a_new_edition_of_other_weights_is_only_exported(registry: Registry) -> None:
    await registry.served("a", "b")
    await registry.export("a2", 0.9, job="job of a", edition=2)
    await registry.promoting.consider()
    assert registry.champion() == "b"


async def test_a_training_with_two_editions_already_is_promoted_with_all_its_formats(registry: Registry) -> None:
    await registry.export("a", job="t")
    await registry.export("a2", job="t", edition=2)
    await registry.promoting.consider()
    await registry.promoting.consider()
    assert registry.promoted == ["a2"]


async def test_who_goes_back_to_an_older_edition_stays_with_it(registry: Registry) -> None:
    await registry.served("a")
    await registry.export("a2", job="job of a", edition=2)
    await registry.promoting.consider()
    await registry.promoting.promote(registry.book.models["a"], reason="", cause="rollback", by="ana")
    await registry.promoting.consider()
    assert registry.promoted == ["a", "a2", "a"]


async def test_weights_that_were_withdrawn_are_no_candidate_in_another_edition(registry: Registry) -> None:
    await registry.served("a")
    bad = await registry.export("b", 0.3)
    await registry.promoting.withdraw(bad, reason="mislabelled", by="ana")
    await registry.export("b2", 0.9, job="job of b", edition=2)
    assert candidates(registry.book, "default") == []
    await registry.promoting.consider()
    assert registry.champion() == "a"


# ---- one thing at a time


async def test_many_promotions_at_once_take_numbers_that_follow_each_other(registry: Registry) -> None:
    states = [await registry.export(f"m{n}") for n in range(8)]
    await asyncio.gather(*(registry.promoting.promote(state, reason="", cause="request") for state in states))
    numbers = [event.number for event in registry.voice.said if isinstance(event, ModelPromoted)]
    assert numbers == list(range(1, 9))


async def test_a_promotion_and_a_withdrawal_at_once_leave_no_withdrawn_model_in_service(registry: Registry) -> None:
    state = await registry.export("a")
    done = await asyncio.gather(
        registry.promoting.withdraw(state, reason="", by="ana"),
        registry.promoting.promote(state, reason="", cause="request"),
        return_exceptions=True,
    )
    assert [type(each) for each in done] == [bool, Rejected]
    assert registry.champion() is None


# ---- intervals of the champion's classes


async def test_a_fall_that_the_training_takes_for_chance_does_not_count(registry: Registry) -> None:
    await registry.served("a")
    beside = measured("a", 0.5, car=0.5, truck=0.5)
    scores = [{"name": "truck", "class_id": 1, "map50_95_interval": {"low": 0.2, "high": 0.7}}]
    content = json.dumps({"champion": {"evaluation": {"classes": scores}}}).encode()
    evaluation = FileRef.of("evaluation.json", content)
    new = metrics(0.6, {"car": 0.8, "truck": 0.3})
    await registry.export("b", new, beside=beside, evaluation=evaluation)
    registry.data.away = "maintenance"
    with pytest.raises(Unavailable):
        await registry.promoting.consider()
    registry.data.away = None
    await registry.data.put("evaluation.json", content)
    await registry.promoting.consider()
    assert registry.champion() == "b"


@pytest.mark.parametrize("content", [None, b"not JSON", b'{"champion": 7}'], ids=["gone", "no JSON", "strange"])
async def test_an_evaluation_that_cannot_be_read_makes_the_policy_strict(
    registry: Registry, content: bytes | None
) -> None:
    await registry.served("a")
    beside = measured("a", 0.5, truck=0.5)
    evaluation = FileRef.of("evaluation.json", content or b"")
    if content is not None:
        await registry.data.put("evaluation.json", content)
    await registry.export("b", metrics(0.6, {"truck": 0.3}), beside=beside, evaluation=evaluation)
    await registry.promoting.consider()
    assert registry.champion() == "a"


async def test_what_another_champion_was_sure_of_excuses_nothing(registry: Registry) -> None:
    await registry.served("old")
    await registry.promoting.promote(
        await registry.export("now", metrics(0.5, {"truck": 0.5}), dataset_id="d"), reason="", cause="policy"
    )
    scores = [{"name": "truck", "map50_95_interval": {"low": 0.1, "high": 0.9}}]
    content = json.dumps({"champion": {"evaluation": {"classes": scores}}}).encode()
    await registry.data.put("evaluation.json", content)
    new = metrics(0.6, {"truck": 0.3})
    evaluation = FileRef.of("evaluation.json", content)
    await registry.export("b", new, beside=measured("old", 0.1), evaluation=evaluation, dataset_id="d")
    await registry.promoting.consider()
    assert registry.champion() == "now"
