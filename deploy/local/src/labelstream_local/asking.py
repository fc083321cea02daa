"""Asking a server of the stack over HTTP."""

from __future__ import annotations

import ssl
from functools import cache

import httpx

# It knows no authority: the stack speaks plain HTTP on this machine. Reading them would cost 40 ms of CPU each time.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def get(url: str, timeout_s: float = 5) -> httpx.Response:
    """Return the answer; no proxy is asked. Raises httpx.HTTPError."""
    verify = _authorities() if url.startswith("https:") else _NO_AUTHORITIES
    return httpx.get(url, timeout=timeout_s, verify=verify, trust_env=False)


@cache
def _authorities() -> ssl.SSLContext:
    """Return those that this machine believes: services of a cluster may speak TLS."""
    return ssl.create_default_context()
