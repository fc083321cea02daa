"""Where a request comes from, and what the audit log may keep of that."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Scope

from labelstream.errors import Misconfigured

UNKNOWN = "unknown"
_FEWEST_LETTERS = 16


@dataclass(frozen=True)
class Addresses:
    """Tells who calls, behind as many proxies as are ours."""

    key: SecretStr
    trusted_proxies: int = 0

    def __post_init__(self) -> None:
        """Refuse a key that could be guessed."""
        if len(self.key.get_secret_value()) < _FEWEST_LETTERS:
            raise Misconfigured(f"ADDRESS_HASH_KEY needs {_FEWEST_LETTERS} letters or more: `openssl rand -hex 32`")

    def of(self, scope: Scope) -> str:
        """Return the address that a request came from; of IPv6 the network, which one household has to itself.

        Each proxy adds, at the end of X-Forwarded-For, whom it was called by. Of that only the last
        `trusted_proxies` entries are true: callers write the ones before as they like.
        """
        client = scope.get("client")
        peer = str(client[0]) if client else UNKNOWN
        if self.trusted_proxies:
            said = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
            passed = [entry.strip() for entry in said.split(",") if entry.strip()]
            if len(passed) >= self.trusted_proxies:
                peer = passed[-self.trusted_proxies]
        return _network(peer)

    def hashed(self, address: str) -> str:
        """Return what the audit log says of an address: the same for the same one, and nothing else."""
        key = self.key.get_secret_value().encode()
        return hmac.new(key, address.encode(), hashlib.sha256).hexdigest()[:32]


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
