"""Grants from the exporter's API."""

from __future__ import annotations

from http import HTTPStatus

import httpx
from pydantic import SecretStr

from inference.ports import NoGrant, TurnedAway
from labelstream.errors import Unavailable

WHAT = "exporter API"


class ExporterApi:
    """The exporter's HTTP API, as this device."""

    def __init__(self, client: httpx.AsyncClient, token: SecretStr) -> None:
        """Use `client`, whose base URL is the exporter's."""
        self._client = client
        self._token = token

    async def fetch(self, project: str, model: str) -> bytes:
        """Return the sealed grant of a model for this device."""
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        try:
            response = await self._client.get(f"/v1/projects/{project}/models/{model}/grant", headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(WHAT, f"{type(error).__name__}: {error}") from error
        if response.status_code == HTTPStatus.OK:
            return response.content
        raise _refusal(response.status_code, project, model)


def _refusal(status: int, project: str, model: str) -> Unavailable:
    if status == HTTPStatus.NOT_FOUND:
        return NoGrant(WHAT, f"it has no grant of {project}/{model} for this device")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return TurnedAway(WHAT, f"it refused this device a grant of {project}/{model} with {status}")
    return Unavailable(WHAT, f"it answered {status}")
