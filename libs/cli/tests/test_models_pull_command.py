"""The command itself, with a real store that it may only read, and an exporter over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream_cli.main import app
from labelstream_local.seaweedfs import WeedServer

from .pull_world import TOKEN, PullWorld

pytestmark = pytest.mark.store


@contextmanager
def served(world: PullWorld) -> Iterator[str]:
    """Serve the world's exporter over HTTP while inside; its grants are there at the second asking."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app_ = world.app(makes_at_ask=2, retry_after="0.1")
        server = uvicorn.Server(uvicorn.Config(app_, log_level="error", timeout_keep_alive=75))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def world(tmp_path: Path, seaweedfs: WeedServer) -> PullWorld:
    """A model whose public files lie in a real store."""

    async def prepare() -> PullWorld:
        world = PullWorld(tmp_path)
        await world.publish("m1")
        world.promote("m1", 4)
        store = S3Blobs(seaweedfs.settings, seaweedfs.settings.model_bucket, Health())
        async for info in world.store.list(keys.model("default", "m1")):
            await store.put(info.key, (await world.store.get(info.key)).data)
        await store.close()
        return world

    world = asyncio.run(prepare())
    (tmp_path / "kiosk.token").write_text(TOKEN + "\n")
    (tmp_path / "kiosk.age-identity").write_text(world.identity + "\n")
    return world


@pytest.fixture
def environment(seaweedfs: WeedServer, tmp_path: Path) -> dict[str, str]:
    """How a device is told of the store: a key that may read the model bucket, and nothing else."""
    settings = seaweedfs.settings_of("inference")
    (tmp_path / "store.key").write_text(settings.secret_key.get_secret_value())
    return {
        "LABELSTREAM_STORE__ENDPOINT_URL": settings.endpoint_url,
        "LABELSTREAM_STORE__ACCESS_KEY": settings.access_key,
        "LABELSTREAM_STORE__SECRET_KEY_FILE": str(tmp_path / "store.key"),
        "COLUMNS": "200",
    }


def pull(world: PullWorld, environment: dict[str, str], exporter: str, *more: object) -> Result:
    here = world.directory
    told = ["models", "pull", "serving", "--to", here / "edge", "--exporter", exporter, *more]
    device = ["--token-file", here / "kiosk.token", "--identity", here / "kiosk.age-identity", "--key", world.public]
    return CliRunner(env=environment).invoke(app, [str(each) for each in (*told, *device)])


def test_a_device_pulls_with_a_key_that_only_reads_and_verifies_offline(
    world: PullWorld, environment: dict[str, str]
) -> None:
    with served(world) as exporter:
        first = pull(world, environment, exporter, "--json")
        again = pull(world, environment, exporter)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert (told["outcome"], told["model"], told["promotion"]) == ("pulled", "m1", 4)
    assert told["artifacts"] == ["onnx-fp32", "torchscript-fp32"]
    assert "Nothing to do: there is model m1 of default (promotion 4;" in again.stdout
    keys_told = ["--key", str(world.public), "--identity", str(world.directory / "kiosk.age-identity")]
    verified = CliRunner().invoke(app, ["models", "verify", str(world.directory / "edge"), *keys_told])
    assert verified.exit_code == 0, verified.output
    for output in (first.output, again.output, verified.output):
        assert world.identity not in output
        assert TOKEN not in output


def test_an_exporter_that_is_away_is_said(world: PullWorld, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    result = pull(world, environment, f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "the exporter's API is unavailable" in result.output


def test_what_a_pull_from_elsewhere_needs_is_named(world: PullWorld, environment: dict[str, str]) -> None:
    arguments = ["models", "pull", "serving", "--to", str(world.directory / "edge"), "--exporter", "http://x"]
    result = CliRunner(env=environment).invoke(app, arguments)
    assert result.exit_code == 1
    assert "--exporter needs --token-file and --identity of this device" in result.output
    assert not (world.directory / "edge").exists()
