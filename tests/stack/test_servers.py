"""The two servers as the other tests use them: alone, without a supervisor."""

import os
import socket
from pathlib import Path

import psutil
import pytest

from labelstream_local import rabbitmq as rabbitmq_module
from labelstream_local.process import StartFailed, marked_processes
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedPorts, WeedServer

from .conftest import Eventually
from .observing import client_of


@pytest.mark.broker
def test_a_killed_broker_comes_back_once_it_can_boot(fresh_rabbitmq: RabbitServer, eventually: Eventually) -> None:
    killed = fresh_rabbitmq.pid
    assert psutil.Process(killed).name() == "beam.smp"
    fresh_rabbitmq.kill()
    assert not fresh_rabbitmq.ready()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", fresh_rabbitmq.ports.amqp))
        squatter.listen()
        with pytest.raises(StartFailed, match=r"(?i)boot failed|eaddrinuse"):
            fresh_rabbitmq.start()
    assert marked_processes(str(fresh_rabbitmq.base_dir)) == []
    fresh_rabbitmq.start()
    eventually(fresh_rabbitmq.ready)
    assert fresh_rabbitmq.pid != killed


@pytest.mark.store
def test_a_killed_store_keeps_its_objects_also_on_other_ports(fresh_seaweedfs: WeedServer) -> None:
    client_of(fresh_seaweedfs.settings).put_object(Bucket="labelstream-data", Key="kept", Body=b"kept")
    fresh_seaweedfs.kill()
    assert not fresh_seaweedfs.ready()
    fresh_seaweedfs.ports = WeedPorts.free()
    fresh_seaweedfs.restart()
    answer = client_of(fresh_seaweedfs.settings).get_object(Bucket="labelstream-data", Key="kept")
    assert answer["Body"].read() == b"kept"


@pytest.mark.broker
@pytest.mark.store
async def test_the_servers_may_be_asked_from_inside_an_event_loop(
    rabbitmq: RabbitServer, seaweedfs: WeedServer, eventually: Eventually
) -> None:
    eventually(rabbitmq.ready)
    eventually(seaweedfs.ready)
    assert rabbitmq.settings.password.get_secret_value() not in repr(rabbitmq)


def test_without_rabbitmq_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(rabbitmq_module.CHOSEN, raising=False)
    monkeypatch.setattr(rabbitmq_module, "_PLACES", ())
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(StartFailed, match="apt-get install"):
        RabbitServer(tmp_path / "none").start()
