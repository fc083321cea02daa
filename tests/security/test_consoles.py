"""What the servers of a stack answer to who shows no login."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import boto3
import httpx
import pytest
from aio_pika.exceptions import AMQPError
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr
from tests.stack.observing import listeners, of_each

from labelstream_local.mlflow import MLFLOW, find_mlflow
from labelstream_local.process import StartFailed
from labelstream_local.rabbitmq import can_log_in
from labelstream_local.stack import Options, Stack, down, up

pytestmark = [pytest.mark.broker, pytest.mark.store]

REFUSED = 401
# Pages and APIs of MLflow's, of every kind that it serves: Flask's, FastAPI's, artifacts, GraphQL, its own users.
PAGES_OF_MLFLOW = (
    ("GET", "/"),
    ("GET", "/api/2.0/mlflow/experiments/search?max_results=1"),
    ("GET", "/ajax-api/2.0/mlflow/experiments/search?max_results=1"),
    ("POST", "/api/2.0/mlflow/runs/search"),
    ("POST", "/api/2.0/mlflow/experiments/create"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/file"),
    ("GET", "/get-artifact?path=x&run_uuid=y"),
    ("POST", "/graphql"),
    ("GET", "/signup"),
    ("GET", "/api/2.0/mlflow/users/get?username=admin"),
    ("POST", "/api/2.0/mlflow/users/create"),
    ("PATCH", "/api/2.0/mlflow/users/update-password"),
    ("POST", "/v1/traces"),
    ("GET", "/version"),
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of a stack, MLflow among them where it is installed."""
    directory = tmp_path_factory.mktemp("consoles") / "stack"
    try:
        yield up(directory, Options(services=(), mlflow=_has_mlflow()))
    finally:
        down(directory)


def _has_mlflow() -> bool:
    try:
        find_mlflow()
    except StartFailed:
        return False
    return True


needs_mlflow = pytest.mark.skipif(not _has_mlflow(), reason="MLflow is not installed: `make mlflow` does it")


@needs_mlflow
@pytest.mark.parametrize(
    ("method", "path"), PAGES_OF_MLFLOW, ids=[f"{method} {path}" for method, path in PAGES_OF_MLFLOW]
)
def test_mlflow_shows_nobody_anything_without_a_login(stack: Stack, method: str, path: str) -> None:
    for auth in (None, ("admin", "password1234"), ("admin", ""), ("nobody", stack.mlflow.password)):
        answer = httpx.request(method, f"{stack.url(MLFLOW)}{path}", auth=auth, timeout=30)
        assert answer.status_code == REFUSED, (path, auth, answer.text[:200])


@needs_mlflow
def test_mlflow_lets_in_who_has_the_generated_password(stack: Stack) -> None:
    address = f"{stack.url(MLFLOW)}/api/2.0/mlflow/experiments/search?max_results=1"
    answer = httpx.get(address, auth=stack.mlflow.login, timeout=30)
    assert answer.status_code == httpx.codes.OK
    assert len(stack.mlflow.password) >= 32


@needs_mlflow
def test_mlflow_tells_without_a_login_only_that_it_lives(stack: Stack) -> None:
    assert httpx.get(f"{stack.url(MLFLOW)}/health", timeout=30).text == "OK"


@needs_mlflow
def test_the_keys_of_mlflow_stand_in_its_own_files_alone(stack: Stack) -> None:
    secret = stack.mlflow.password
    told = of_each(stack, lambda process: (" ".join(process.cmdline()), " ".join(process.environ().values())))
    running = [(line, environment) for line, environment in told if MLFLOW in line]
    assert running
    for line, environment in running:
        assert secret not in line
        assert secret not in environment
    walked = (Path(folder) / name for folder, _, names in os.walk(stack.layout.root) for name in names)
    files = [path for path in walked if secret.encode() in _content(path)]
    assert {path.name for path in files} == {"mlflow-admin-password", "mlflow-auth.ini"}
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a socket, or a server removed it meanwhile
        return b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("port", ["filer", "volume"])
def test_the_stores_inner_ports_do_nothing_for_who_has_no_token(stack: Stack, port: str, method: str) -> None:
    address = f"http://127.0.0.1:{getattr(stack.record.ports.seaweedfs, port)}"
    assert httpx.request(method, f"{address}/1,01637037d6", timeout=30).status_code == REFUSED
    for path in ("/", "/buckets/labelstream-data/"):  # a write without a file's id is malformed, whoever sends it
        answered = httpx.request(method, address + path, timeout=30).status_code
        assert answered in (REFUSED, httpx.codes.BAD_REQUEST), path


def test_the_store_knows_nobody_without_a_signature(stack: Stack) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=stack.store.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    for call in (
        client.list_buckets,
        lambda: client.list_objects_v2(Bucket=stack.store.model_bucket),
        lambda: client.get_object(Bucket=stack.store.data_bucket, Key="x"),
        lambda: client.put_object(Bucket=stack.store.incoming_bucket, Key="x", Body=b"x"),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(("user", "password"), [("guest", "guest"), ("labelstream", "labelstream"), ("operator", "")])
def test_the_broker_knows_no_usual_name(stack: Stack, user: str, password: str) -> None:
    stranger = stack.broker.model_copy(update={"username": user, "password": SecretStr(password)})
    assert not can_log_in(stranger)
    with pytest.raises(AMQPError):
        asyncio.run(_connect(stack.broker.amqp_port, user, password))


async def _connect(port: int, user: str, password: str) -> None:
    connection = await aio_pika.connect(host="127.0.0.1", port=port, login=user, password=password, timeout=30)
    await connection.close()


def test_the_broker_has_no_console(stack: Stack) -> None:
    enabled = (stack.layout.data("rabbitmq") / "enabled_plugins").read_text()
    assert "management" not in enabled


def test_what_has_no_login_can_be_reached_from_this_machine_alone(stack: Stack) -> None:
    listening = {connection.laddr.ip for connections in of_each(stack, listeners) for connection in connections}
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert stack.layout.supervisor_socket.stat().st_mode & 0o077 == 0
