"""The producer for code without asyncio, on a broker in memory, and in programs of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured
from labelstream.producer import BlockingProducer, Limits, Producer, TimedOut, broker_settings
from labelstream.streams.memory import MemoryBroker

from .conftest import Answering

PROGRAM = """
import asyncio, os, sys, threading
from labelstream.producer import BlockingProducer, Limits, Producer
from labelstream.streams.memory import MemoryBroker

class Told(MemoryBroker):
    async def store(self, stream, publisher, messages):
        await super().store(stream, publisher, messages)
        print("stored", len(messages), flush=True)

broker = Told()
for stream in ("annotations", "annotation-events"):
    asyncio.run(broker.ensure_stream(stream))
producer = BlockingProducer(Producer(broker, limits=Limits(linger_s=LINGER)))
"""


def run(program: str, linger_s: float = 0.1) -> subprocess.CompletedProcess[str]:
    text = PROGRAM.replace("LINGER", str(linger_s)) + program
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in ("annotations", "annotation-events"):
        coroutine = broker.ensure_stream(stream)
        with pytest.raises(StopIteration):  # it waits for nothing
            coroutine.send(None)
    return broker


@pytest.fixture
def producer(broker: MemoryBroker) -> Iterator[BlockingProducer]:
    with BlockingProducer(Producer(broker, limits=Limits(unconfirmed_messages=20))) as producer:
        yield producer


def test_it_does_what_the_other_does(producer: BlockingProducer, broker: MemoryBroker) -> None:
    ids = [
        producer.submit(name="a", image=b"x", boxes=[], tags=["night"]),
        producer.edit(name="a", boxes=[]),
        producer.validate(["a"]),
        producer.delete(["a"]),
        producer.erase(medium="film"),
    ]
    producer.flush()
    assert len(broker.stored("annotations") or []) == 5

    settle(producer, broker, *ids)
    assert producer.wait_for_receipt(ids[2], timeout_s=60).message_id == ids[2]
    assert [receipt.message_id for receipt in producer.receipts()] == [ids[0], ids[1], ids[3], ids[4]]
    assert producer.next_receipt() is None


def settle(producer: BlockingProducer, broker: MemoryBroker, *ids: str) -> None:
    assert producer._portal is not None
    producer._portal.call(Answering(broker).settle, *ids)


def test_threads_share_it(producer: BlockingProducer, broker: MemoryBroker) -> None:
    def work(thread: int) -> list[str]:
        return [producer.submit(name=f"{thread}-{number}", image=b"x", boxes=[]) for number in range(50)]

    with ThreadPoolExecutor(8) as threads:
        ids = [one for found in threads.map(work, range(8)) for one in found]
        producer.flush()
        settle(producer, broker, *reversed(ids))
        receipts = list(threads.map(producer.wait_for_receipt, ids))

    assert len(set(ids)) == len(broker.stored("annotations") or []) == 400
    assert [receipt.message_id for receipt in receipts] == ids


def test_errors_come_through(broker: MemoryBroker) -> None:
    with BlockingProducer(Producer(broker)) as producer:
        message_id = producer.submit(name="a", image=b"x", boxes=[])
        with pytest.raises(TimedOut, match=message_id):
            producer.wait_for_receipt(message_id, timeout_s=0.01)
    broker.away = True
    with pytest.raises(TimedOut, match="connecting"), BlockingProducer(Producer(broker, timeout_s=0.01)):
        pytest.fail("nobody was there")
    with pytest.raises(Misconfigured, match="rabbitmq-stream://"):
        BlockingProducer.connect("http://somewhere")


def test_who_waits_in_another_thread_is_told_when_it_is_closed(broker: MemoryBroker) -> None:
    told: list[str] = []
    producer = BlockingProducer(Producer(broker)).open()
    message_id = producer.submit(name="a", image=b"x", boxes=[])

    def wait() -> None:
        with pytest.raises(RuntimeError) as error:
            producer.wait_for_receipt(message_id)
        told.append(str(error.value))

    thread = threading.Thread(target=wait)
    thread.start()
    while not producer._producer._inbox._awaited:  # type: ignore[union-attr]
        thread.join(0.01)
    producer.close()
    producer.close()
    thread.join()

    assert told == ["this producer was closed meanwhile"]
    with pytest.raises(RuntimeError, match="not open"):
        producer.flush()


def test_it_leaves_no_thread_behind(broker: MemoryBroker) -> None:
    before = set(threading.enumerate())
    with BlockingProducer(Producer(broker)) as producer:
        producer.submit(name="a", image=b"x", boxes=[])
        with pytest.raises(RuntimeError, match="open already"):
            producer.open()
    broker.away = True
    with pytest.raises(TimedOut):
        BlockingProducer(Producer(broker, timeout_s=0.01)).open()

    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert set(threading.enumerate()) <= before


def test_one_that_was_forgotten_sends_what_is_left_and_lets_the_program_end() -> None:
    done = run("producer.open()\nproducer.submit(name='a', image=b'x', boxes=[])", linger_s=3600)

    assert done.returncode == 0
    assert "stored 1" in done.stdout
    assert "was not closed" in done.stderr


def test_a_call_in_a_forked_process_says_that_it_needs_its_own() -> None:
    done = run("""
producer.open()
child = os.fork()
if child == 0:
    try:
        producer.submit(name="a", image=b"x", boxes=[])
    except RuntimeError as error:
        print(error, flush=True)
        sys.exit(0)
_, status = os.waitpid(child, 0)
producer.close()
print("child", status)
""")

    assert "opened before the process was forked" in done.stdout
    assert "child 0" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_ends_a_program_that_waits(times: int) -> None:
    program = (
        PROGRAM.replace("LINGER", "0.1")
        + """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born ignoring it
with producer:
    message_id = producer.submit(name="a", image=b"x", boxes=[])
    print("waiting", flush=True)
    producer.wait_for_receipt(message_id)
"""
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() in {"waiting\n", "stored 1\n"}
        assert child.stdout.readline() in {"waiting\n", "stored 1\n"}
        for _ in range(times):
            os.kill(child.pid, signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()

    assert child.returncode in {-signal.SIGINT, 1, 130}
    assert "KeyboardInterrupt" in errors


def test_importing_it_loads_no_heavy_library() -> None:
    heavy = [
        "torch",
        "cv2",
        "boto3",
        "botocore",
        "numpy",
        "PIL",
        "pyarrow",
        "starlette",
        "uvicorn",
        "prometheus_client",
    ]
    program = "import sys, labelstream.producer\nprint([one for one in {} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program.format(heavy)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_an_address_says_all_that_is_needed() -> None:
    settings = broker_settings("rabbitmq-stream://me:p%40ss@broker/some%2Fhost")
    assert (settings.host, settings.stream_port, settings.vhost) == ("broker", 5552, "some/host")
    assert (settings.username, settings.password.get_secret_value()) == ("me", "p@ss")


def test_an_address_over_tls_names_the_file_of_its_ca() -> None:
    settings = broker_settings("rabbitmq-stream+tls://me:secret@broker/vhost?ca=/etc/my%20ca.pem")
    assert (settings.stream_port, settings.amqp_port, settings.tls_ca) == (5551, 5671, Path("/etc/my ca.pem"))
    assert broker_settings("rabbitmq-stream://me:secret@broker").tls_ca is None


@pytest.mark.parametrize(
    "address",
    ["rabbitmq-stream+tls://me:secret@broker", "rabbitmq-stream+tls://me:secret@broker?ca=",
     "rabbitmq-stream+tls://me:secret@broker?cafile=ca.pem", "rabbitmq-stream+tls://me:secret@broker?ca=a.pem&verify=no",
     "rabbitmq-stream://me:secret@broker?ca=ca.pem"],
    ids=["no ca", "empty ca", "another name", "something more", "without tls"],
)  # fmt: skip
def test_an_address_never_falls_back_to_what_it_does_not_say(address: str) -> None:
    with pytest.raises(Misconfigured, match="over TLS like") as refused:
        broker_settings(address)
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["http://me:secret@broker", "rabbitmq-stream://me:secret@broker:abc", "rabbitmq-stream://me:secret@broker:99999",
     "rabbitmq-stream://[me:secret@broker", "rabbitmq-stream://broker:5552", "broker"],
    ids=["scheme", "port", "high port", "bracket", "no user", "no address"],
)  # fmt: skip
def test_an_address_that_is_none_says_how_one_looks_and_not_the_password(address: str) -> None:
    with pytest.raises(Misconfigured, match="must look like rabbitmq-stream://") as refused:
        broker_settings(address)
    assert "secret@" not in str(refused.value)
