"""The whole stack, services and all, shows nothing of itself to others."""

import httpx
import pytest
from tests.stack.observing import LOOPBACK, listening_addresses, processes_of, public_text, secrets_of

from labelstream_local.services import NAMES
from labelstream_local.stack import Stack

from .conftest import Reference

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def stack(reference: Reference) -> Stack:
    return reference.stack


def test_nothing_of_a_working_stack_listens_beyond_this_machine(stack: Stack) -> None:
    listening = listening_addresses(stack)
    assert {"epmd", "beam.smp", "weed"} <= set(listening)
    assert set().union(*listening.values()) <= LOOPBACK
    services = {stack.record.pids[name] for name in NAMES}
    assert services <= {process.pid for process in processes_of(stack)}
    ports = {
        connection.laddr.port
        for process in processes_of(stack)
        for connection in process.net_connections("inet")
        if connection.status == "LISTEN"
    }
    assert set(stack.record.ports.services.values()) <= ports


def test_no_secret_stands_in_a_log_a_record_a_command_line_or_an_answer(stack: Stack) -> None:
    shown, secrets = public_text(stack), secrets_of(stack)
    for name in NAMES:
        for page in ("readyz", "metrics"):
            shown[f"{name}/{page}"] = httpx.get(f"{stack.url(name)}/{page}").text
    assert {f"{name}.log" for name in NAMES} <= {place.rsplit("/", 1)[-1] for place in shown}
    assert len(secrets) > 15
    assert [(place, secret) for place, text in shown.items() for secret in secrets if secret in text] == []


def test_no_secret_stands_in_the_environment_of_a_process(stack: Stack) -> None:
    secrets = secrets_of(stack)
    found = [
        (process.name(), name)
        for process in processes_of(stack)
        for name, value in process.environ().items()
        for secret in secrets
        if secret in value
    ]
    assert found == []
