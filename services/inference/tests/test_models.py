"""Which model answers, and when an engine may be closed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from inference.serving.models import Gone, Models, ServingModel
from labelstream.errors import Rejected, Unavailable


@dataclass
class Lamp:
    """An engine that only knows whether it was closed."""

    closed: threading.Event = field(default_factory=threading.Event)
    times: int = 0

    def close(self) -> None:
        self.times += 1
        self.closed.set()


def model(name: str, number: int, project: str = "p") -> ServingModel:
    """A model without a network."""
    return ServingModel(SimpleNamespace(model=name, project=project), number, Lamp())


@pytest.fixture
def models() -> Models:
    """Two projects without models."""
    made = Models(("p", "q"))
    yield made
    made.close()


def test_an_engine_is_closed_once_the_last_request_that_took_it_has_ended(models) -> None:
    old, new = model("old", 1), model("new", 2)
    models.swap(old)
    with models.using("p") as first, models.using("p") as second:
        models.swap(new)
        assert first is second is old
        with models.using("p") as third:
            assert third is new
        assert not old.engine.closed.is_set()
    assert old.engine.closed.wait(10)
    assert not new.engine.closed.is_set()


def test_an_engine_that_nobody_uses_is_closed_by_the_swap(models) -> None:
    old = model("old", 1)
    models.swap(old)
    models.swap(model("new", 2))
    assert old.engine.closed.wait(10)


def test_on_probation_the_model_before_stays_open_and_answers_to_its_name(models) -> None:
    old, new = model("old", 1), model("new", 2)
    models.swap(old, on_probation=True)
    models.swap(new, on_probation=True)
    assert models.get("p") is new
    assert models.get("p", "old") is old
    with pytest.raises(Rejected, match="older"):
        models.get("p", "older")
    models.release(new)
    assert old.engine.closed.wait(10)
    with pytest.raises(Rejected):
        models.get("p", "old")


def test_a_model_that_goes_back_is_closed_and_the_one_before_answers_at_once(models) -> None:
    old, new = model("old", 1), model("new", 2)
    models.swap(old)
    models.swap(new, on_probation=True)
    assert models.revert(new, "rule", "reason") is old
    assert models.get(None) is old
    assert models.reverted("p") == (2, "new", "rule", "reason")
    assert new.engine.closed.wait(10)
    assert models.revert(new, "rule", "reason") is None, "it went back already"
    models.swap(model("newer", 3), on_probation=True)
    assert models.reverted("p") is None


def test_behind_a_newer_model_stands_the_last_one_that_proved_itself(models) -> None:
    proved, doubtful, newest = model("proved", 1), model("doubtful", 2), model("newest", 3)
    models.swap(proved)
    models.swap(doubtful, on_probation=True)
    models.swap(newest, on_probation=True)
    assert models.before("p") is proved
    assert doubtful.engine.closed.wait(10)


def test_a_fault_is_made_up_for_by_the_other_model_of_the_probation(models) -> None:
    old, new = model("old", 1), model("new", 2)
    models.swap(old)
    with models.standing_in(old) as nobody:
        assert nobody is None
    models.swap(new, on_probation=True)
    with models.using("p") as failing, models.standing_in(failing) as other:
        assert (failing, other) == (new, old)
        models.release(new)
        assert not old.engine.closed.is_set()
    assert old.engine.closed.wait(10)
    with models.standing_in(old) as successor:
        assert successor is new, "who failed with a model that is gone is answered by the one that came"


def test_a_model_that_is_gone_is_not_held_any_more(models) -> None:
    old = model("old", 1)
    models.swap(old)
    with models.holding(old):
        models.swap(model("new", 2))
        assert not old.engine.closed.is_set()
    assert old.engine.closed.wait(10)
    with pytest.raises(Gone), models.holding(old):
        pass


def test_projects_do_not_touch_each_other(models) -> None:
    models.swap(model("one", 1, "p"))
    with pytest.raises(Unavailable, match="q"):
        models.get("q")
    models.swap(model("two", 1, "q"))
    models.swap(model("three", 2, "q"), on_probation=True)
    assert models.get("p").manifest.model == "one"
    assert models.before("p") is None


def test_an_engine_is_closed_once_however_many_threads_take_and_swap() -> None:
    models = Models(("p",))
    every = [model(str(number), number) for number in range(200)]
    models.swap(every[0])
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with models.using("p") as used:
                assert not used.engine.closed.is_set(), "a model was closed in somebody's hands"

    with_errors: list[BaseException] = []

    def run() -> None:
        try:
            ask()
        except AssertionError as error:
            with_errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number, each in enumerate(every[1:]):
        models.swap(each, on_probation=bool(number % 3))
    ended.set()
    for thread in threads:
        thread.join()
    models.close()
    assert not with_errors
    assert [each.engine.times for each in every] == [1] * len(every)
