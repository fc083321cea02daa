"""Two live writers of one name: one goes, and what was said stays right."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labelstream.events.annotation import AnnotationSettled
from labelstream_local.ports import choose
from labelstream_local.process import Child
from labelstream_local.reports import ask
from labelstream_local.services import BY_NAME, command_of
from labelstream_local.stack import Stack

from .conftest import Reference
from .course import push
from .drawing import shot
from .watching import Onlooker, all_ready, eventually

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

NAME = "annotation-ingest"
ANOTHER_WRITER = 3


@dataclass(frozen=True)
class Second:
    """A second annotation-ingest with the settings of the first."""

    child: Child
    url: str

    @property
    def exit_code(self) -> int | None:
        process = self.child._process
        return process.poll() if process else None


@pytest.fixture
def second(reference: Reference, tmp_path: Path) -> Iterator[Second]:
    stack = reference.stack
    (port,) = choose(1)
    told = {"LABELSTREAM_HTTP_PORT": str(port), "LABELSTREAM_STATE_DIR": str(tmp_path)}
    command = command_of(BY_NAME[NAME], stack.context, told)
    child = Child(replace(command, name="second"), stack.layout.mark, tmp_path / "second.log")
    child.start()
    yield Second(child, f"http://127.0.0.1:{port}")
    child.stop()


def _gone(stack: Stack, second: Second) -> str | None:
    """Return what the one of the two that exited with code 3 said; None while both live."""
    if second.exit_code is not None:
        assert second.exit_code == ANOTHER_WRITER
        return second.child.log.read_text()
    if f"exited: {NAME} (exit status {ANOTHER_WRITER}" in stack.layout.log("supervisord").read_text():
        return stack.layout.log(NAME).read_text()
    return None


async def test_of_two_writers_one_exits_and_every_message_still_has_one_right_receipt(
    see: Onlooker, second: Second
) -> None:
    await eventually(lambda: (report := ask(second.url)) is not None and report.ready)
    start, first_input = await see.end(AnnotationSettled.stream), await see.end("annotations")
    frames = [shot(f"two-writers-{number}", "two-writers") for number in range(3)]
    await push(see.stack, [one.message() for one in frames], name="two-writers")
    await eventually(lambda: _gone(see.stack, second) is not None)
    said = _gone(see.stack, second)
    assert said is not None
    assert "service.another_writer" in said
    assert "run one instance only" in said
    await asyncio.to_thread(second.child.stop)
    await eventually(lambda: all_ready(see.stack))

    again = await push(see.stack, [one.message() for one in frames], name="two-writers-again")
    receipts = await see.said(AnnotationSettled, start)
    assert [receipt.input.offset for receipt in receipts] == list(range(first_input, first_input + 6))
    assert [receipt.outcomes[0].outcome for receipt in receipts] == ["recorded"] * 3 + ["duplicated"] * 3
    assert [receipt.outcomes[0].repeats for receipt in again] == [receipt.input for receipt in receipts[:3]]
