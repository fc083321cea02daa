"""The exporter's API as a device sees it: which models there are, and the device's grants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import Field, SecretStr, ValidationError

from labelstream.errors import Rejected, Unavailable
from labelstream.protection.pulled import PulledPromotion
from labelstream.service.tls import why_not
from labelstream.values import FileRef, Value

WHAT = "the exporter's API"
EXPORTER_CA = "--exporter-ca"
SERVING = "serving"
_LEAST_OF_AN_ID = 4
_RETRY_S, _SHORTEST_S, _LONGEST_S = 2.0, 0.1, 30.0
_LATER = {HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
V = TypeVar("V", bound=Value)


class Offered(Value):
    """A model, as far as a pull needs to know."""

    model: str
    project: str
    manifest: FileRef
    withdrawn: bool = False
    promotion: PulledPromotion | None = None


class _Page(Value):
    models: tuple[Offered, ...]
    next: str | None = None


class _Problem(Value):
    title: str = "exporter.refused"
    detail: str = ""
    hint: str = Field("Look at the exporter's logs")


@dataclass(frozen=True)
class ExporterApi:
    """The exporter's API, as one device. Every method raises Rejected when it is turned away, and Unavailable."""

    client: httpx.AsyncClient  # its base URL is the exporter's
    token: SecretStr
    project: str
    patience_s: float = 120.0  # with a grant that is being made, and an API that is busy
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def find(self, told: str) -> Offered:
        """Return the model that serves, or the one whose id is or begins with `told`."""
        response = await self._get(f"models/{told}")
        if response.status_code == HTTPStatus.NOT_FOUND and told != SERVING and len(told) >= _LEAST_OF_AN_ID:
            return self._checked(told, await self._beginning_with(told, response))
        return self._checked(told, _read(Offered, response))

    async def grant(self, model: str) -> bytes:
        """Return the device's sealed grant of a model; it is made when it is first asked for."""
        response = await self._get(f"models/{model}/grant")
        if response.status_code != HTTPStatus.OK:
            raise _refused(response)
        return response.content

    def _checked(self, told: str, offered: Offered) -> Offered:
        """Return what is offered, if it is what was asked for: the API signs nothing, so it is not believed either."""
        is_it = told == SERVING or offered.model.startswith(told)
        if offered.project != self.project or not is_it:
            reason = f"asked for {self.project}/{told}, {WHAT} offers {offered.project}/{offered.model}"
            raise Rejected("exporter.other_model", reason, "Ask those who run the exporter")
        if told == SERVING and offered.promotion is None:
            reason = f"{WHAT} says that {offered.model} serves, without the signed promotion that says so"
            raise Rejected("promotion.missing", reason, "Ask those who run the exporter")
        return offered

    async def _beginning_with(self, told: str, unknown: httpx.Response) -> Offered:
        found: list[Offered] = []
        cursor: str | None = None
        while True:
            page = _read(_Page, await self._get("models", {"cursor": cursor} if cursor else {}))
            found += [each for each in page.models if each.model.startswith(told)]
            cursor = page.next
            if cursor is None:
                break
        if not found:
            raise _refused(unknown)
        if len(found) > 1:
            many = ", ".join(each.model for each in found[:5])
            raise Rejected("model.ambiguous", f"{len(found)} models begin with {told}: {many}", "Write more of the id")
        return found[0]

    async def _get(self, path: str, query: dict[str, str] | None = None) -> httpx.Response:
        """Ask, and ask again while the answer is that it takes a moment."""
        until = time.monotonic() + self.patience_s
        while True:
            try:
                response = await self.client.get(
                    f"/v1/projects/{self.project}/{path}",
                    params=query,
                    headers={"Authorization": f"Bearer {self.token.get_secret_value()}"},
                )
            except httpx.HTTPError as error:
                reason = why_not(error, WHAT, EXPORTER_CA) or f"{type(error).__name__}: {error}"
                raise Unavailable(WHAT, reason) from error
            if response.status_code not in _LATER:
                return response
            pause = _retry_after_s(response)
            if time.monotonic() + pause > until:
                raise Unavailable(WHAT, _later(response))
            await self.sleep(pause)


def _read(kind: type[V], response: httpx.Response) -> V:
    if response.status_code != HTTPStatus.OK:
        raise _refused(response)
    try:
        return kind.model_validate(_json(response))
    except ValidationError as error:
        raise Rejected(
            "exporter.other_version", f"{WHAT} answered something else than a {kind.__name__}", "Update this command"
        ) from error


def _refused(response: httpx.Response) -> Rejected:
    """Return what an answer that is no success says (RFC 9457)."""
    try:
        problem = _Problem.model_validate(_json(response))
    except ValidationError:
        problem = _Problem()
    said = problem.detail or f"{WHAT} answered {response.status_code}"
    return Rejected(problem.title, said, problem.hint)


def _later(response: httpx.Response) -> str:
    if response.status_code == HTTPStatus.ACCEPTED:
        return "the grant is being made and is still not there: does the exporter's decider run?"
    return f"it answered {response.status_code}: {_refused(response).reason}"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {}


def _retry_after_s(response: httpx.Response) -> float:
    try:
        told = float(response.headers.get("Retry-After", _RETRY_S))
    except ValueError:  # a date
        told = _RETRY_S
    return min(max(told, _SHORTEST_S), _LONGEST_S)
