"""A stack shows nothing of itself to others: no socket beyond this machine, no secret outside its files."""

import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from labelstream_local.layout import Layout
from labelstream_local.stack import Stack

from .conftest import Eventually
from .observing import LOOPBACK, allowed, client_of, listening_addresses, public_text, secrets_of

pytestmark = [pytest.mark.broker, pytest.mark.store]


def test_nothing_listens_beyond_this_machine(stack: Stack) -> None:
    seen = listening_addresses(stack)
    assert {"epmd", "beam.smp", "weed"} <= set(seen)
    assert set().union(*seen.values()) <= LOOPBACK


def test_no_secret_stands_in_a_command_line_a_record_or_a_log(stack: Stack) -> None:
    shown, secrets = public_text(stack), secrets_of(stack)
    assert any("beam.smp" in text for text in shown.values())
    assert len(secrets) > 15
    assert [(place, secret) for place, text in shown.items() for secret in secrets if secret in text] == []


def test_only_their_owner_may_read_the_secrets(stack: Stack) -> None:
    assert stack.layout.root.stat().st_mode & 0o777 == 0o700
    assert stack.layout.secrets.stat().st_mode & 0o777 == 0o700
    files = [*stack.layout.secrets.iterdir(), stack.layout.supervisor_config, stack.layout.record]
    servers = [stack.layout.data("rabbitmq") / "definitions.json", stack.layout.data("seaweedfs") / "s3.json"]
    assert {path.name: path.stat().st_mode & 0o077 for path in [*files, *servers]} == {
        path.name: 0 for path in [*files, *servers]
    }


def test_the_store_logs_among_its_data_alone(stack: Stack) -> None:
    pid = stack.supervisor.processes()["seaweedfs"].pid
    assert list((stack.layout.data("seaweedfs") / "log").glob(f"weed.*.{pid}"))
    assert list(Path(tempfile.gettempdir()).glob(f"weed.*.{pid}")) == []


@pytest.mark.parametrize("port", ["filer", "volume"])
def test_the_stores_inner_ports_serve_nobody_without_a_token(stack: Stack, port: str) -> None:
    address = f"http://127.0.0.1:{getattr(stack.record.ports.seaweedfs, port)}/"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(address)
    assert refusal.value.code == 401


@pytest.mark.parametrize(
    ("identity", "readable", "writable"),
    [
        ("annotation-ingest", {"data"}, {"data"}),
        ("augmenter", {"data"}, {"data"}),
        ("trainer", {"data"}, {"data"}),
        ("exporter", {"data", "resources"}, {"data", "models", "resources"}),
        ("exporter-work", {"data"}, {"data"}),
        ("exporter-serve", {"resources"}, set()),
        ("inference", {"models"}, set()),
        ("inference-annotate", {"data"}, {"data"}),
        ("operator", {"data", "models", "resources"}, {"data", "models", "resources"}),
    ],
)
def test_each_service_reads_and_writes_only_what_it_needs(
    stack: Stack, identity: str, readable: set[str], writable: set[str]
) -> None:
    buckets = {name: f"labelstream-{name}" for name in ("data", "models", "resources")}
    for bucket in buckets.values():
        client_of(stack.store).put_object(Bucket=bucket, Key="probe/there", Body=b"1")
    client = client_of(stack.seaweedfs.settings_of(identity))
    reads = {name for name, bucket in buckets.items() if allowed(client.get_object, Bucket=bucket, Key="probe/there")}
    lists = {name for name, bucket in buckets.items() if allowed(client.list_objects_v2, Bucket=bucket)}
    writes = {name for name, bucket in buckets.items() if allowed(client.put_object, Bucket=bucket, Key="probe/new")}
    assert (reads, lists, writes) == (readable, readable, writable)


def test_a_wrong_password_does_not_open_the_broker(stack: Stack, eventually: Eventually) -> None:
    node = stack.rabbitmq
    node.passwords["operator"] = "wrong"
    eventually(stack.rabbitmq.ready)
    assert not node.ready()


def test_the_socket_of_a_stack_with_a_long_path_lies_elsewhere(tmp_path: Path) -> None:
    near = Layout.at(Path(tempfile.gettempdir()) / "near")
    assert near.supervisor_socket.is_relative_to(near.root)
    far = Layout.at(tmp_path / ("deep" * 20))
    assert len(str(far.supervisor_socket)) < 90
    assert far.supervisor_socket != Layout.at(tmp_path / ("deep" * 21)).supervisor_socket
