"""MLflow's REST API: requests, and the one place that knows what its answers mean.

The client library would bring sixteen packages, among them the kit of a cloud, and is configured by the
environment of the whole process; a dozen requests do not need it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from anyio import Path as AsyncPath

from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.service.tls import trusting_at, why_not
from trainer.mirror.changes import Gone

MLFLOW = "MLflow"
MLFLOW_CA = "LABELSTREAM_TRAINER__MLFLOW_CA"
TIMEOUT_S = 20.0  # for each step of a request: connecting, sending a part, receiving a part
PIECE_BYTES = 1 << 20
_LOGIN = {401, 403}  # somebody will lend us the key
_LATER = {408, 425, 429}  # it has time again
_KEY = "LABELSTREAM_TRAINER__MLFLOW_USER and …__MLFLOW_PASSWORD_FILE must be those of a user who may write there"
_TOO_LARGE = 413  # of whatever stands before the server: it will not be smaller the next time


class AlreadyThere(Exception):
    """Something of that name exists."""


class Api:
    """One MLflow server. Every method raises Unavailable, Rejected and Gone."""

    def __init__(self, url: str, login: tuple[str, str] | None = None, ca: Path | None = None) -> None:
        """Prepare to speak to the server at `url` as `login` (name, password); nothing connects yet.

        Raises Misconfigured.
        """
        address = _checked(url)
        verify = trusting_at(str(address), ca, MLFLOW_CA) or True
        auth = httpx.BasicAuth(*login) if login is not None else None
        self._client = httpx.AsyncClient(
            base_url=address, auth=auth, verify=verify, timeout=TIMEOUT_S, follow_redirects=True
        )

    async def get(self, path: str, **asked: str) -> dict[str, Any]:
        """Ask for something."""
        return _understood(await self._send("GET", f"/api/2.0/mlflow/{path}", params=asked))

    async def post(self, path: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Make or change something. Raises AlreadyThere."""
        return _understood(await self._send("POST", f"/api/2.0/mlflow/{path}", json=said))

    async def put_file(self, path: str, file: Path) -> None:
        """Store a file with the server's artifacts. Raises FileNotFoundError."""
        size_bytes = (await AsyncPath(file).stat()).st_size
        headers = {"Content-Length": str(size_bytes), "Content-Type": "application/octet-stream"}
        path = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
        _understood(await self._send("PUT", path, content=_pieces(file), headers=headers))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            host = self._client.base_url.host
            reason = why_not(error, host, MLFLOW_CA) or f"{host}: {str(error) or type(error).__name__}"
            raise Unavailable(MLFLOW, reason) from error


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Misconfigured(f"LABELSTREAM_TRAINER__MLFLOW_URL is no address: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Misconfigured(
            "LABELSTREAM_TRAINER__MLFLOW_URL must be the address of an MLflow server, such as http://mlflow:5000"
        )
    return parsed


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    async with await AsyncPath(file).open("rb") as opened:
        while piece := await opened.read(PIECE_BYTES):
            yield piece


def _understood(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json() if response.content else {}
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict):
        return answer
    code = answer.get("error_code") if isinstance(answer, dict) else None
    said = f"{response.request.url.path} was answered with {response.status_code}: {_words(response, answer)}"
    if response.status_code in _LOGIN:
        raise Unavailable(MLFLOW, f"{said}; {_KEY}")
    if code == "RESOURCE_ALREADY_EXISTS":
        raise AlreadyThere(said)
    if code == "RESOURCE_DOES_NOT_EXIST":
        raise Gone(said)
    if response.status_code == _TOO_LARGE:
        raise Rejected("mlflow.too_large", said, "Let whatever stands before the server take larger files.")
    if code is None or response.is_server_error or response.status_code in _LATER:
        raise Unavailable(MLFLOW, said)
    raise Rejected("mlflow.refused", said, "Compare the server's version with the one that this is tested with.")


def _words(response: httpx.Response, answer: Any) -> str:
    """Return what a person wants to know of an answer that was not expected."""
    message = answer.get("message") if isinstance(answer, dict) else None
    return str(message or "is that an MLflow server? " + response.text[:100])[:500]
