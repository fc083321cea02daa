"""How sure a training was of each class of the champion: out of its `evaluation.json`."""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from labelstream.blobs.ports import Blobs
from labelstream.blobs.rewriting import read_rewritten
from labelstream.errors import Rejected
from labelstream.events.training import Interval, TrainingFinished
from labelstream.values import Value

log = structlog.get_logger()


class _Class(Value):
    name: str
    map50_95_interval: Interval | None = None


class _Evaluation(Value):
    classes: tuple[_Class, ...] = ()


class _Champion(Value):
    evaluation: _Evaluation


class _Tested(Value):
    champion: _Champion | None = None


async def champion_intervals(data: Blobs, trained: TrainingFinished) -> dict[str, Interval]:
    """Return where the champion's mAP50-95 of each class lies with 95 % confidence, as the training measured it.

    What can't be read is not known, which makes the policy stricter, never laxer. Raises Unavailable.
    """
    if trained.evaluation is None or trained.champion is None:
        return {}
    try:
        champion = _Tested.model_validate_json(await read_rewritten(data, trained.evaluation)).champion
    except (Rejected, ValidationError) as error:
        log.warning("evaluation.unreadable", job=trained.job, key=trained.evaluation.key, reason=str(error))
        return {}
    found = champion.evaluation.classes if champion else ()
    return {each.name: each.map50_95_interval for each in found if each.map50_95_interval is not None}
