"""Nothing is served that its makers did not sign, and nothing that this device was not granted."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.serving import ModelActivated, ModelActivationFailed
from labelstream.protection.signing_keys import new_signing_key
from labelstream_local.reports import ask
from labelstream_local.stack import Stack

from .conftest import Reference
from .drawing import shot
from .forging import Forge, Whole
from .watching import Onlooker, all_ready, eventually, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

IMAGE = shot("asked", "asked").image


@pytest.fixture
def forge(see: Onlooker, tmp_path: Path) -> Forge:
    return Forge(see, tmp_path)


@pytest.fixture
def foreign_key(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.pem"
    path.write_bytes(new_signing_key()[0])
    return path


@pytest.fixture
def original(reference: Reference) -> ModelExported:
    return reference.course.exported[0]


Promotion = Callable[[Forge, Whole, Path], Awaitable[ModelPromoted]]


async def _one_byte_flipped(forge: Forge, whole: Whole, _: Path) -> ModelPromoted:
    copy = await forge.copy(whole, "flipped", signed_by=forge.own_key, flip=True)
    return await forge.promote(copy, signed_by=forge.own_key)


async def _bundle_signed_by_another(forge: Forge, whole: Whole, foreign_key: Path) -> ModelPromoted:
    copy = await forge.copy(whole, "foreign bundle", signed_by=foreign_key)
    return await forge.promote(copy, signed_by=forge.own_key)


async def _promotion_signed_by_another(forge: Forge, whole: Whole, foreign_key: Path) -> ModelPromoted:
    copy = await forge.copy(whole, "foreign promotion", signed_by=forge.own_key)
    return await forge.promote(copy, signed_by=foreign_key)


async def _old_number(forge: Forge, whole: Whole, _: Path) -> ModelPromoted:
    copy = await forge.copy(whole, "old number", signed_by=forge.own_key)
    return await forge.promote(copy, signed_by=forge.own_key, number=1)


async def _no_grant(forge: Forge, whole: Whole, _: Path) -> ModelPromoted:
    copy = await forge.copy(whole, "not granted", signed_by=forge.own_key, grant=False)
    return await forge.promote(copy, signed_by=forge.own_key)


@pytest.mark.parametrize(
    ("tampered", "rule", "says"),
    [
        (_one_byte_flipped, "bundle.big_part_differs", "onnx-fp32.age"),
        (_bundle_signed_by_another, "signature.foreign_key", "trusted are"),
        (_promotion_signed_by_another, "promotion.bad_signature", "not trusted"),
        (_old_number, "promotion.stale", " 1 "),
        (_no_grant, "grant.missing", "is being made"),
    ],
)
async def test_what_was_tampered_with_is_never_served(
    see: Onlooker,
    forge: Forge,
    foreign_key: Path,
    original: ModelExported,
    tampered: Promotion,
    rule: str,
    says: str,
) -> None:
    before = predict(see.stack, IMAGE)
    promoted = await tampered(forge, await forge.whole(original), foreign_key)
    failed = await see.heard(ModelActivationFailed, lambda event: event.model == promoted.model)
    assert (failed.rule, failed.number, failed.serving) == (rule, promoted.number, before["model"])
    assert says in failed.reason
    after = predict(see.stack, IMAGE)
    assert (after["model"], after["detections"]) == (before["model"], before["detections"])
    assert [each for each in await see.said(ModelActivated) if each.model == promoted.model] == []


async def test_a_good_promotion_is_followed_after_bad_ones_and_so_is_the_way_back(
    see: Onlooker, forge: Forge, original: ModelExported
) -> None:
    bad = await _one_byte_flipped(forge, await forge.whole(original), forge.own_key)
    await see.heard(ModelActivationFailed, lambda event: event.number == bad.number)
    copy = await forge.copy(await forge.whole(original), "good", signed_by=forge.own_key)
    for model in (copy, original):
        promoted = await forge.promote(model, signed_by=forge.own_key)
        await see.heard(ModelActivated, lambda event, number=promoted.number: event.number == number)
        answer = predict(see.stack, IMAGE)
        assert (answer["model"], answer["dataset"]) == (model.model, original.dataset_id)
    await eventually(lambda: all_ready(see.stack))


async def test_a_model_whose_key_is_lost_degrades_the_exporter_and_stops_no_service(
    see: Onlooker, forge: Forge, original: ModelExported
) -> None:
    before = predict(see.stack, IMAGE)
    lost = await _no_grant(forge, await forge.whole(original), forge.own_key)
    await see.heard(ModelActivationFailed, lambda event: event.number == lost.number)
    see.stack.kill("exporter")  # it reads of the model when it starts, and finds that it can't make the grant
    await eventually(lambda: "grant.no_model_key" in _degraded(see.stack, "exporter"))
    assert predict(see.stack, IMAGE)["model"] == before["model"]
    promoted = await forge.promote(original, signed_by=forge.own_key)
    await see.heard(ModelActivated, lambda event: event.number == promoted.number)
    await eventually(lambda: all_ready(see.stack))


def _degraded(stack: Stack, service: str) -> str:
    report = ask(stack.url(service))
    return str(report.degraded) if report else ""
