"""Asking for a training."""

from labelstream.jobs.memory import MemoryJobQueue
from labelstream.values import FileRef
from labelstream_cli.asking_to_train import QUEUE, ask_for_training, ask_for_training_on


async def test_a_request_names_the_cut_and_the_same_request_has_the_same_id() -> None:
    queue = MemoryJobQueue()

    first = await ask_for_training(queue, "default", 41)
    again = await ask_for_training(queue, "default", 41)
    later = await ask_for_training(queue, "default", 42)

    taken = await queue.take(QUEUE)
    assert taken is not None
    assert (taken.job.project, taken.job.id, taken.job.payload) == ("default", first.request, {"cut": 41})
    assert first.request == again.request != later.request


async def test_a_request_on_a_dataset_names_its_description_and_no_cut() -> None:
    queue = MemoryJobQueue()
    description = FileRef.of("default/datasets/d/dataset.json", b"{}")

    first = await ask_for_training_on(queue, "default", "d" * 64, 41, description)
    again = await ask_for_training_on(queue, "default", "d" * 64, 41, description)

    taken = await queue.take(QUEUE)
    assert taken is not None
    assert taken.job.payload == {"dataset": description.model_dump()}
    assert first == again
