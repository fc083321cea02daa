from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from annotation_ingest.batches.attempts import FILE, Attempts
from labelstream.errors import AnotherWriter, Misconfigured, Unavailable


class Killed(BaseException):
    """The end of the process."""


def die_alone(folder: Path, error: BaseException, *, decided: bool = False) -> None:
    def die() -> None:
        attempts = Attempts(folder)
        with attempts.alone("annotations", 7):
            if decided:
                attempts.decided("annotations", 7)
            raise error

    with pytest.raises(type(error)):
        die()


def test_after_a_death_everything_that_was_begun_is_suspect(tmp_path: Path) -> None:
    first = Attempts(tmp_path)
    assert not first.any_suspects
    first.begin("annotations", 99)
    first.begin("guests", 3)
    assert not first.is_suspect("annotations", 99)
    second = Attempts(tmp_path)
    assert second.any_suspects
    assert [second.is_suspect("annotations", n) for n in (0, 99, 100)] == [True, True, False]
    assert [second.is_suspect("guests", n) for n in (3, 4)] == [True, False]
    assert not second.is_suspect("others", 0)


def test_nothing_is_suspect_once_the_service_was_told_to_stop(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.begin("annotations", 99)
    attempts.stopped()
    assert not Attempts(tmp_path).is_suspect("annotations", 99)


def test_suspects_stay_suspects_when_the_service_is_told_to_stop(tmp_path: Path) -> None:
    Attempts(tmp_path).begin("annotations", 99)
    second = Attempts(tmp_path)
    second.begin("annotations", 150)
    second.stopped()
    assert [Attempts(tmp_path).is_suspect("annotations", n) for n in (99, 100)] == [True, False]


@pytest.mark.parametrize("error", [Killed(), RuntimeError("a fault"), MemoryError()], ids=lambda e: type(e).__name__)
def test_a_death_alone_counts(tmp_path: Path, error: BaseException) -> None:
    for deaths in range(1, 4):
        die_alone(tmp_path, error)
        assert Attempts(tmp_path).deaths("annotations", 7) == deaths
    assert Attempts(tmp_path).deaths("annotations", 8) == 0


@pytest.mark.parametrize(
    "error",
    [
        AnotherWriter(),
        Misconfigured(),
        Unavailable("disk", "full"),
        sqlite3.OperationalError(),
        asyncio.CancelledError(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_is_no_messages_fault_does_not_count(tmp_path: Path, error: BaseException) -> None:
    die_alone(tmp_path, RuntimeError())
    die_alone(tmp_path, error)
    assert Attempts(tmp_path).deaths("annotations", 7) == 1


def test_a_sudden_death_counts_only_until_the_message_is_decided(tmp_path: Path) -> None:
    die_alone(tmp_path, Killed(), decided=True)
    assert Attempts(tmp_path).deaths("annotations", 7) == 0
    die_alone(tmp_path, RuntimeError("its receipt can't be written"), decided=True)
    assert Attempts(tmp_path).deaths("annotations", 7) == 1


def test_an_answer_forgets_the_deaths(tmp_path: Path) -> None:
    die_alone(tmp_path, Killed())
    with Attempts(tmp_path).alone("annotations", 7):
        pass
    assert Attempts(tmp_path).deaths("annotations", 7) == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"begun": []}', b'{"else": 1}', b"\xff"])
def test_notes_that_can_not_be_read_are_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    attempts = Attempts(tmp_path)
    assert not attempts.any_suspects
    attempts.begin("annotations", 1)
    assert Attempts(tmp_path).is_suspect("annotations", 1)


def test_notes_that_can_not_be_written_say_that_the_disk_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"a file where the folder should be")
    with pytest.raises(Unavailable) as error:
        Attempts(tmp_path / "state").begin("annotations", 1)
    assert error.value.what == "disk"
