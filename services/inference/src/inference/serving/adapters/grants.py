"""Grants from the exporter's API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from inference.exporter_client import reason_of
from inference.serving.ports import NoGrant, TurnedAway
from labelstream.errors import Unavailable

WHAT = "exporter API"
REVOKED = "device-revoked"

ANSWER_S = 30.0  # longer than the API waits for a grant that is being made


class Revoked(TurnedAway):
    """The exporter knows this device, and gives it nothing any more."""

    rule = "grant.device_revoked"
    hint = "Only who runs the exporter can let it in again: `labelstream devices add --replace`."


class ExporterApi:
    """The exporter's HTTP API, as this device."""

    def __init__(self, client: httpx.AsyncClient, token: SecretStr) -> None:
        """Use `client`, whose base URL is the exporter's."""
        self._client = client
        self._token = token

    async def fetch(self, project: str, model: str) -> bytes:
        """Return the sealed grant of a model for this device. Raises NoGrant, Unavailable.

        The grant is made when it is first asked for; the API waits a moment for it. Whoever asks has patience.
        """
        response = await self._ask(project, model)
        if response.status_code == HTTPStatus.OK:
            return response.content
        raise _refusal(response, project, model)

    async def _ask(self, project: str, model: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        try:
            url = f"/v1/projects/{project}/models/{model}/grant"
            return await self._client.get(url, headers=headers, timeout=ANSWER_S)
        except httpx.HTTPError as error:
            raise Unavailable(WHAT, reason_of(error)) from error


def _refusal(response: httpx.Response, project: str, model: str) -> Unavailable:
    status, problem = response.status_code, _problem(response)
    why = f": {problem['detail']}" if problem.get("detail") else ""
    if status == HTTPStatus.ACCEPTED:
        return NoGrant(WHAT, f"a grant of {project}/{model} is being made for this device, and is not there yet")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return NoGrant(WHAT, f"it has no grant of {project}/{model} for this device{why}")
    if status == HTTPStatus.FORBIDDEN and problem.get("title") == REVOKED:
        return Revoked(WHAT, f"this device was revoked, and gets no grant of {project}/{model}{why}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return TurnedAway(WHAT, f"it refused this device a grant of {project}/{model} with {status}{why}")
    return Unavailable(WHAT, f"it answered {status}{why}")


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return what the API says of a refusal (RFC 9457); nothing when it says nothing that can be read."""
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
