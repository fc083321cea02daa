"""What `labelstream up`, `down` and `status` say."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream.service.health import Health
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_cli.main import app
from labelstream_local.reports import Report
from labelstream_local.services import BY_NAME
from labelstream_local.stack import Stack
from labelstream_local.status import Stream, lags_of, status_of

from .observing import secrets_of


@pytest.mark.broker
@pytest.mark.store
async def test_a_running_stack_shows_its_programs_and_the_ends_of_its_streams(stack: Stack) -> None:
    broker = RabbitBroker(stack.broker, Health(), "test")
    try:
        await broker.ensure_stream("annotations")
        await broker.publisher("annotations", "test").publish([(1, Message(b"1")), (2, Message(b"2"))])
    finally:
        await broker.close()
    async with asyncio.timeout(60):
        status = await status_of(stack)
        while not all(one.ready for one in status.programs):
            await asyncio.sleep(0.1)
            status = await status_of(stack)
    assert status.running
    assert [(one.name, one.state, one.ready) for one in status.programs] == [
        ("rabbitmq", "RUNNING", True),
        ("seaweedfs", "RUNNING", True),
    ]
    streams = {stream.name: stream for stream in status.streams}
    assert streams["annotations"].last_offset == 1
    assert streams["model-events"].problem == "not created yet"


@pytest.mark.store
def test_status_and_down_answer_whatever_is_up_or_down(directory: Path) -> None:
    def said(command: str) -> dict[str, object]:
        result = CliRunner().invoke(app, [command, "--dir", str(directory), "--json"])
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    assert said("status")["running"] is False
    assert said("down") == {"stopped": 0}
    assert CliRunner().invoke(app, ["status", "--dir", str(directory)]).exit_code == 1
    unknown = CliRunner().invoke(app, ["up", "--dir", str(directory), "--service", "barista"])
    assert unknown.exit_code == 2
    assert not directory.exists()


@pytest.mark.broker
@pytest.mark.store
def test_what_is_printed_holds_no_secret(stack: Stack) -> None:
    shown = [
        CliRunner().invoke(app, [*command, "--dir", str(stack.layout.root)])
        for command in (["status"], ["status", "--json"], ["up", "--service", "trainer"])
    ]
    assert [result.exit_code for result in shown] == [0, 0, 1]
    printed = "".join(result.output for result in shown)
    assert "a stack without trainer runs here" in " ".join(printed.split())
    assert [secret for secret in secrets_of(stack) if secret in printed] == []


def test_a_lag_is_what_a_service_has_not_handled_yet() -> None:
    reports = {
        "augmenter": Report(True, {}, {}, {"streams": {"annotation-events": {"offset": 7}, "gone": {"offset": 3}}}),
        "trainer": Report(True, {}, {}, {"streams": {"batch-events": {"offset": None}}}),
        "exporter": None,
    }
    streams = [Stream("annotation-events", 9), Stream("batch-events", 4), Stream("model-events", None)]
    assert [(lag.service, lag.stream, lag.behind) for lag in lags_of(reports, streams)] == [
        ("augmenter", "annotation-events", 2),
        ("augmenter", "gone", None),
        ("trainer", "batch-events", 5),
    ]


def test_inference_may_wait_for_its_first_model_but_for_nothing_else() -> None:
    def up(**waiting: str) -> bool:
        return Report(False, {what: {"reason": why} for what, why in waiting.items()}, {}, {}).up(BY_NAME["inference"])

    assert up(**{"model of default": "none yet"})
    assert not up(**{"model of default": "none yet", "broker": "away"})
    assert not Report(False, {"model of default": {}}, {}, {}).up(BY_NAME["trainer"])
    assert not Report(False, {}, {}, {}).up(BY_NAME["inference"])
