"""Asking the trainer for a training on what is annotated up to an offset, without waiting for its answer."""

from __future__ import annotations

from labelstream.jobs.ports import JobQueue
from labelstream.training_requests import TrainingRequest
from labelstream_cli.jobs.asking import ask


async def ask_for_training(queue: JobQueue, project: str, cut: int) -> str:
    """Queue a request for a training of everything up to `cut`; return its id. Asking twice trains once."""
    return await ask(queue, project, TrainingRequest(cut=cut))
