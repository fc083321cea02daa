"""Trains what is still to be trained: here, or on several accelerators by a process for each."""

from __future__ import annotations

from trainer.engine.plan import Plan
from trainer.engine.recovering import devices_in
from trainer.engine.training import Training


def fit(plan: Plan) -> None:
    """Train to the end; what there is to say of it stands in the checkpoint.

    Raises EngineFailure, and whatever torch raises for want of memory.
    """
    if devices_in(plan.spec.device) > 1:
        from trainer.engine.ranks import run_ranks  # noqa: PLC0415  # torch's launcher takes a while, and few need it

        run_ranks(plan)
    else:
        Training(plan).train()
