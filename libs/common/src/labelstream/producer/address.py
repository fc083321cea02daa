"""The broker's address in one line."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from labelstream.errors import Misconfigured
from labelstream.service.settings import BrokerSettings

SCHEME = "rabbitmq-stream"


def broker_settings(url: str) -> BrokerSettings:
    """Read `rabbitmq-stream://user:password@host:5552/vhost`. Raises Misconfigured, without showing the password."""
    wrong = Misconfigured(f"the broker's address must look like {SCHEME}://user:password@host:5552/vhost")
    try:
        parts = urlsplit(url)
        port = parts.port or 5552
    except ValueError:  # a port that is none, a bracket too many; its text may hold the password
        raise wrong from None
    if parts.scheme != SCHEME or not parts.hostname or not parts.username or parts.password is None:
        raise wrong
    return BrokerSettings(
        host=parts.hostname,
        stream_port=port,
        vhost=unquote(parts.path[1:]) or "/",
        username=unquote(parts.username),
        password=SecretStr(unquote(parts.password)),
    )
