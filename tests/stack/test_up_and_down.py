"""Starting, finding, losing and stopping a stack. Each test kills real processes."""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from labelstream_cli.running import running_stack
from labelstream_local.process import MARK, Child, Command, StartFailed, marked_processes
from labelstream_local.seaweedfs import can_store
from labelstream_local.stack import Options, Stack, down, load, up

from .conftest import SERVERS_ONLY, STORE_ONLY, Eventually
from .observing import client_of, processes_of

pytestmark = [pytest.mark.broker, pytest.mark.store]


def test_a_stack_that_runs_is_found_not_started_again(stack: Stack) -> None:
    before = _pids(stack)
    again = up(stack.layout.root, SERVERS_ONLY)
    assert again.was_running
    assert again.record == load(stack.layout.root).record == stack.record
    assert _pids(stack) == before


def _pids(stack: Stack) -> dict[str, int | None]:
    """Of what the stack started; its servers start helpers now and then."""
    return {one.name: one.pid for one in stack.supervisor.processes().values()} | {"": stack.supervisor.pid}


def test_a_stack_that_lacks_a_service_is_not_taken_for_one_that_has_it(stack: Stack) -> None:
    with pytest.raises(StartFailed, match="trainer"):
        up(stack.layout.root, Options(services=("trainer",)))


@pytest.mark.parametrize("program", ["rabbitmq", "seaweedfs", "epmd"])
def test_a_killed_server_is_started_again(stack: Stack, program: str, eventually: Eventually) -> None:
    killed = stack.kill(program)
    eventually(lambda: stack.supervisor.processes()[program].pid not in {None, killed})
    eventually(lambda: stack.rabbitmq.ready() and stack.seaweedfs.ready())


def test_a_command_waits_for_a_broker_that_starts_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelstream_cli.running.PATIENCE_S", 180)
    stack.kill("rabbitmq")
    assert running_stack(stack.layout.root).rabbitmq.ready()


def test_down_stops_everything_and_up_finds_it_again(directory: Path) -> None:
    first = up(directory, STORE_ONLY)
    client_of(first.store).put_object(Bucket="labelstream-data", Key="kept", Body=b"kept")
    assert down(directory) == 2
    assert processes_of(first) == []
    assert not can_store(first.store)
    assert down(directory) == 0
    second = up(directory, STORE_ONLY)
    assert not second.was_running
    assert second.record.ports.seaweedfs == first.record.ports.seaweedfs
    assert second.store == first.store
    assert client_of(second.store).get_object(Bucket="labelstream-data", Key="kept")["Body"].read() == b"kept"


def test_down_and_up_work_after_the_supervisor_was_killed(directory: Path, eventually: Eventually) -> None:
    stack = up(directory, STORE_ONLY)
    os.kill(stack.record.pids["supervisord"], signal.SIGKILL)
    orphan = stack.record.pids["seaweedfs"]
    eventually(
        lambda: [process.pid for process in processes_of(stack)] == [orphan]
    )  # a killed process goes in its time
    again = up(directory, STORE_ONLY)
    assert not again.was_running
    assert orphan not in {process.pid for process in processes_of(again)}
    os.kill(again.record.pids["supervisord"], signal.SIGKILL)
    log = again.layout.log("seaweedfs")
    eventually(lambda: "Press Ctrl+C" in log.read_text().rpartition("Starting SeaweedFS")[2])  # it goes on printing
    left = again.record.pids["seaweedfs"]
    eventually(lambda: [process.pid for process in processes_of(again)] == [left])
    assert down(directory) == 1
    assert processes_of(again) == []


def test_down_leaves_the_processes_of_other_stacks_alone(tmp_path: Path) -> None:
    other = Child(Command("other", ("sleep", "600"), tmp_path), str(tmp_path / "stack-2"), tmp_path / "other.log")
    other.start()
    try:
        (tmp_path / "stack").mkdir()
        assert down(tmp_path / "stack") == 0
        assert other.running
        assert [process.pid for process in marked_processes(str(tmp_path / "stack-2"))] == [other.pid]
        assert down(tmp_path / "stack-2") == 0  # there is no such directory
    finally:
        other.stop()


def test_a_port_that_somebody_took_meanwhile_is_chosen_afresh(directory: Path) -> None:
    first = up(directory, STORE_ONLY)
    down(directory)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.record.ports.seaweedfs.s3 + 10_000))
        squatter.listen()
        second = up(directory, STORE_ONLY)
    assert second.record.ports.seaweedfs.s3 != first.record.ports.seaweedfs.s3
    assert second.record.ports.rabbitmq == first.record.ports.rabbitmq


def test_two_starts_at_once_give_one_stack(directory: Path) -> None:
    found: list[Stack] = []
    starts = [threading.Thread(target=lambda: found.append(up(directory, STORE_ONLY))) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(stack.was_running for stack in found) == [False, True]
    assert len(marked_processes(found[0].layout.mark)) == len(processes_of(load(directory)))


def test_a_service_that_does_not_come_up_is_named_with_the_end_of_its_log(directory: Path) -> None:
    told = {"augmenter": {"LABELSTREAM_HTTP_PORT": "no number"}}
    with pytest.raises(StartFailed, match=r"(?s)augmenter did not come up.*LABELSTREAM_HTTP_PORT"):
        up(directory, Options(services=("augmenter",), servers=("seaweedfs",), told=told))
    assert marked_processes(str(directory.resolve())) == []
    assert load(directory).record.told == {}  # else the next start would fail as well


def test_a_directory_that_the_supervisor_can_not_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="%"):
        up(tmp_path / "100%", STORE_ONLY)


def test_a_process_carries_the_mark_of_its_stack(tmp_path: Path) -> None:
    child = Child(Command("child", ("sleep", "600"), tmp_path, {"OWN": "1"}), "a mark", tmp_path / "log")
    child.start()
    try:
        (found,) = marked_processes("a mark")
        assert found.environ()[MARK] == "a mark"
        assert found.environ()["OWN"] == "1"
    finally:
        child.stop()
    assert not child.running
