"""What both clients need of httpx: how a request is written, and what an error of the transport means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from labelstream.client.asking import Ask
from labelstream.client.errors import Away
from labelstream.client.videos import Video
from labelstream.service.tls import trusting_at, why_not

_LATE = (httpx.ReadTimeout, httpx.WriteTimeout)  # it has the request, and may work on it
CA = "ca"  # the argument that names the CA file
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HOPELESS = (*_LATE, httpx.UnsupportedProtocol)


def options(url: str, api_key: str | None, timeout_s: float, ca: Path | None) -> dict[str, Any]:
    """Return what httpx's clients are made with.

    Raises ValueError for what is no address of a service, and Misconfigured for a CA file that is none.
    """
    if not url.startswith(("http://", "https://")) or not httpx.URL(url).host:
        raise ValueError(f"{url!r} is no address of a service: write http://host:port, or https://host")
    headers = {"user-agent": "labelstream-client"}
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    here = httpx.URL(url).host in _THIS_MACHINE  # no proxy that the environment names reaches it
    verify = trusting_at(url, ca, CA) or True
    timeout = httpx.Timeout(timeout_s)
    return {"base_url": url, "headers": headers, "timeout": timeout, "trust_env": not here, "verify": verify}


def written(ask: Ask, content: Any) -> dict[str, Any]:
    """Return a request as httpx's `build_request` takes it; `content` is a video's."""
    files = [(one.field, (one.name, one.data, "application/octet-stream")) for one in ask.uploads]
    body: dict[str, Any] = {"files": files} if files else {"content": ask.body if content is None else content}
    params = httpx.QueryParams(ask.params)
    return {"method": ask.method, "url": ask.path, "params": params, "headers": dict(ask.headers or {}), **body}


def headers_of(response: httpx.Response) -> Mapping[str, str]:
    """Return a response's headers, their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def lost(error: httpx.RequestError, url: httpx.URL) -> Away:
    """Return what an error of the transport means."""
    what = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "does not answer"
    if (why := why_not(error, f"the inference service at {url}", CA)) is not None:
        return Away(why, again=False)
    reason = str(error) or type(error).__name__
    return Away(f"the inference service at {url} {what}: {reason}", again=not isinstance(error, _HOPELESS))


async def pieces(video: Video) -> AsyncIterator[bytes]:
    """Yield a video's content, read in a thread."""
    reading = video.pieces()
    while piece := await asyncio.to_thread(next, reading, b""):
        yield piece
