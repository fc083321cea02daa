"""What comes together is run together on a GPU."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inference.engine.batching import Batched, Batcher, sizes_up_to

from .material import HeldNetwork, images


@pytest.fixture
def held():
    """A network that runs when it is let."""
    return HeldNetwork()


@pytest.fixture
def pool():
    """Threads that ask."""
    with ThreadPoolExecutor(16) as threads:
        yield threads


def batched(run: HeldNetwork, most: int = 4, *, fixed: bool = False) -> Batched:
    return Batched("a GPU", run, np.zeros(1, np.float32), most, fixed=fixed)


def first_held_and_waiting(network: Batched, held: HeldNetwork, pool: ThreadPoolExecutor, values: list[int]):
    """Let the first image begin alone, and the others wait behind it."""
    first, *others = images(values)
    answers = [pool.submit(network.run, first)]
    assert held.begun.acquire(timeout=60)
    answers += [pool.submit(network.run, image) for image in others]
    while network.waiting < len(others):
        time.sleep(0)  # lets them
    return answers


def test_an_image_that_comes_alone_does_not_wait_for_others(held, pool) -> None:
    network = batched(held)
    held.let.release()
    assert pool.submit(network.run, images([7])[0]).result(60).tolist() == [7]
    assert held.sizes == [1]
    network.close()


def test_what_waited_is_run_together_and_everybody_gets_their_own_answer(held, pool) -> None:
    network = batched(held)
    answers = first_held_and_waiting(network, held, pool, [1, 2, 3, 4, 5])
    held.let.release(2)
    assert [answer.result(60).tolist() for answer in answers] == [[1], [2], [3], [4], [5]]
    assert held.sizes == [1, 4]
    network.close()


def test_a_batch_is_never_larger_than_the_graph_takes(held, pool) -> None:
    network = batched(held)
    answers = first_held_and_waiting(network, held, pool, list(range(20, 30)))
    held.let.release(10)
    assert [answer.result(60).tolist() for answer in answers] == [[value] for value in range(20, 30)]
    assert max(held.sizes) == 4
    assert sum(held.sizes) >= 10
    network.close()


def test_a_batch_between_two_sizes_is_filled_up(held, pool) -> None:
    network = batched(held)
    answers = first_held_and_waiting(network, held, pool, [1, 2, 3, 4])
    held.let.release(2)
    assert [answer.result(60).tolist() for answer in answers] == [[1], [2], [3], [4]]
    assert held.sizes == [1, 4]
    network.close()


def test_a_graph_of_a_fixed_batch_always_gets_it_whole(held, pool) -> None:
    network = batched(held, fixed=True)
    held.let.release()
    assert pool.submit(network.run, images([7])[0]).result(60).tolist() == [7]
    assert held.sizes == [4]
    network.close()


def test_a_batch_that_fails_fails_its_own_images_alone(held, pool) -> None:
    network = batched(held)
    answers = first_held_and_waiting(network, held, pool, [1, 13, 2])
    held.let.release(2)
    assert answers[0].result(60).tolist() == [1]
    for answer in answers[1:]:
        with pytest.raises(RuntimeError, match="unlucky"):
            answer.result(60)
    held.let.release()
    assert pool.submit(network.run, images([5])[0]).result(60).tolist() == [5]
    network.close()


def test_closing_answers_what_was_asked_and_then_takes_nothing_more(held, pool) -> None:
    network = batched(held)
    answers = first_held_and_waiting(network, held, pool, [1, 2, 3])
    closing = pool.submit(network.close)
    held.let.release(3)
    closing.result(60)
    assert [answer.result(60).tolist() for answer in answers] == [[1], [2], [3]]
    assert held.closed
    with pytest.raises(RuntimeError, match="closed"):
        network.run(images([4])[0])


def test_every_size_is_warmed_before_it_serves(held) -> None:
    network = batched(held, most=6)
    held.let.release(4)
    network.settle()
    assert held.sizes == [1, 2, 4, 6]
    network.close()


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))])
def test_sizes_are_powers_of_two_and_the_largest(most: int, sizes: tuple[int, ...]) -> None:
    assert sizes_up_to(most) == sizes


def test_who_gets_no_answer_hears_of_it_instead_of_waiting() -> None:
    batcher = Batcher(lambda images: images[:0], (1,))
    with pytest.raises(RuntimeError, match="0 of 1"):
        batcher.run(np.zeros(1, np.float32))
    batcher.close()
