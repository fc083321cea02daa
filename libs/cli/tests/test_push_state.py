"""What pushes have behind them."""

from pathlib import Path

import pytest

from labelstream_cli.importers import Imported
from labelstream_cli.push.state import PushState, StreamNotes, stamp_of

SOURCE = Path("somewhere")


def opened(tmp_path: Path, *, restart: bool = False) -> PushState:
    return PushState.open(tmp_path / "notes", SOURCE, restart=restart)


def test_what_was_noted_is_known_to_the_next_push_and_its_message_ids_are_the_same(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.note("sent", [("a", "stamp-a"), ("b", "stamp-b")])
    first.note("deleted", [("b", "stamp-b")])

    second = opened(tmp_path)

    assert [second.knows("sent", name, f"stamp-{name}") for name in "abc"] == [True, True, False]
    assert [second.knows("deleted", name, f"stamp-{name}") for name in "ab"] == [False, True]
    assert second.message_id("sent", "c", "stamp-c") == first.message_id("sent", "c", "stamp-c")


def test_what_changed_since_is_not_known(tmp_path: Path) -> None:
    opened(tmp_path).note("sent", [("a", "before")])

    assert not opened(tmp_path).knows("sent", "a", "after")


def test_a_line_that_a_kill_tore_counts_for_nothing_and_the_next_is_whole(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.note("sent", [("a", "1")])
    state.note("sent", [("b", "2")])
    assert state.path is not None
    state.path.write_bytes(state.path.read_bytes()[:-5])

    again = opened(tmp_path)
    assert (again.knows("sent", "a", "1"), again.knows("sent", "b", "2")) == (True, False)
    again.note("sent", [("c", "3")])
    assert opened(tmp_path).knows("sent", "c", "3")


def test_what_was_refused_is_sent_again(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.note("sent", [("a", "1"), ("b", "2")])
    state.forget(["a"])

    again = opened(tmp_path)
    assert (again.knows("sent", "a", "1"), again.knows("sent", "b", "2")) == (False, True)


def test_restart_forgets(tmp_path: Path) -> None:
    before = opened(tmp_path)
    before.note("sent", [("a", "1")])

    after = opened(tmp_path, restart=True)

    assert not after.knows("sent", "a", "1")
    assert after.run != before.run


def test_once_everything_is_sent_the_same_image_is_a_new_message(tmp_path: Path) -> None:
    state = opened(tmp_path)
    before = state.message_id("sent", "a", "1")
    state.finished()

    assert opened(tmp_path).message_id("sent", "a", "1") == state.message_id("sent", "a", "1") != before


def test_a_stamp_changes_with_the_file_and_with_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1234")
    image = Imported("a", path, "a", None, ())
    stamps = {stamp_of(image, {"validated": True}), stamp_of(image, {"validated": False})}
    path.write_bytes(b"12345")
    stamps.add(stamp_of(image, {"validated": True}))

    assert len(stamps) == 3
    assert stamp_of(image, {"validated": True}) in stamps


@pytest.mark.parametrize(("last_id", "forgotten"), [(99, True), (100, False), (250, False)])
def test_notes_on_a_stream_that_was_made_anew_are_dropped(tmp_path: Path, last_id: int, forgotten: bool) -> None:
    notes = StreamNotes.of(tmp_path, "host", 5552, "/", "annotations")
    state = PushState.open(notes.directory, SOURCE)
    state.note("sent", [("a", "1")])
    notes.reached(100)

    assert notes.check(last_id) is forgotten
    assert PushState.open(notes.directory, SOURCE).knows("sent", "a", "1") is not forgotten
