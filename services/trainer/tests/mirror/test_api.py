"""What the answers of an MLflow server mean, and what does not come from one."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured, Rejected, Unavailable
from trainer.mirror.api import AlreadyThere, Api
from trainer.mirror.changes import Gone


@asynccontextmanager
async def answering(
    status: int, body: str, login: tuple[str, str] | None = None
) -> AsyncIterator[tuple[Api, list[bytes]]]:
    """An HTTP server that gives every request the same answer; and what it was sent."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")), 0)
        heard.append(head + await reader.readexactly(int(length)))
        writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    api = Api(f"http://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}", login)
    async with server:
        yield api, heard
        await api.close()


def _error(code: str) -> str:
    return f'{{"error_code": "{code}", "message": "because"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, _error("RESOURCE_DOES_NOT_EXIST"), Gone),
        (400, _error("RESOURCE_ALREADY_EXISTS"), AlreadyThere),
        (400, _error("INVALID_PARAMETER_VALUE"), Rejected),
        (401, _error("UNAUTHENTICATED"), Unavailable),
        (429, _error("REQUEST_LIMIT_EXCEEDED"), Unavailable),
        (500, _error("INTERNAL_ERROR"), Unavailable),
        (503, "<html>try again</html>", Unavailable),
        (404, "<html>not here</html>", Unavailable),
        (413, "<html>too large</html>", Rejected),
        (200, "<html>log in</html>", Unavailable),
        (200, "[]", Unavailable),
    ],
)
async def test_an_answer_is_told_by_its_code(status: int, body: str, kind: type[Exception]):
    async with answering(status, body) as (api, _):
        with pytest.raises(kind):
            await api.post("runs/create", {})


async def test_a_page_that_is_no_answer_of_mlflow_is_shown():
    async with answering(200, "<html>log in</html>") as (api, _):
        with pytest.raises(Unavailable, match="is that an MLflow server"):
            await api.get("experiments/get-by-name")


async def test_a_server_that_is_not_there_is_unavailable():
    api = Api("http://user:secret@127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        await api.get("experiments/get-by-name")
    assert "secret" not in str(caught.value)
    await api.close()


async def test_a_file_is_sent_whole_and_by_name_and_password(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    async with answering(200, "{}") as (api, heard):
        await api.put_file("1/run/artifacts/model/weights%20file", tmp_path / "file")
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/model/weights%20file HTTP")
    assert b"uthorization: Basic" in head
    assert body == b"x" * 3_000_000


@pytest.mark.parametrize("url", ["mlflow:5000", "sqlite:///runs.db", "http://", "http://a:b:c"])
def test_what_is_no_address_of_a_server_is_a_wrong_setting(url: str):
    with pytest.raises(Misconfigured, match="MLFLOW_URL"):
        Api(url)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_does_not_know_us_is_waited_for_and_the_settings_are_named(status: int):
    async with answering(status, "You are not authenticated.") as (api, _):
        with pytest.raises(Unavailable, match=r"MLFLOW_USER and …__MLFLOW_PASSWORD_FILE"):
            await api.get("experiments/get-by-name")


async def test_the_login_of_the_settings_is_shown_and_nowhere_repeated():
    async with answering(401, "no", ("trainer", "s3cret")) as (api, heard):
        with pytest.raises(Unavailable) as caught:
            await api.get("experiments/get-by-name")
    assert b64encode(b"trainer:s3cret") in heard[0]
    assert "s3cret" not in str(caught.value)


def test_a_ca_beside_an_address_without_tls_is_a_wrong_setting(tmp_path: Path):
    with pytest.raises(Misconfigured, match="LABELSTREAM_TRAINER__MLFLOW_CA"):
        Api("http://mlflow:5000", ca=tmp_path / "ca.pem")
