"""Asking for a training."""

from labelstream.jobs.memory import MemoryJobQueue
from labelstream_cli.asking_to_train import QUEUE, ask_for_training


async def test_a_request_names_the_cut_and_the_same_request_has_the_same_id() -> None:
    queue = MemoryJobQueue()

    first = await ask_for_training(queue, "default", 41)
    again = await ask_for_training(queue, "default", 41)
    later = await ask_for_training(queue, "default", 42)

    taken = await queue.take(QUEUE)
    assert taken is not None
    assert (taken.job.project, taken.job.id, taken.job.payload) == ("default", first.request, {"cut": 41})
    assert first.request == again.request != later.request
