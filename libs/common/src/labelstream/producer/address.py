"""The broker's address in one line."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from labelstream.errors import Misconfigured
from labelstream.service.settings import BrokerSettings

SCHEME, OVER_TLS = "rabbitmq-stream", "rabbitmq-stream+tls"
_PORTS = {SCHEME: (5552, 5672), OVER_TLS: (5551, 5671)}  # for streams and for queues, when the address has none
_CA = "ca"


def broker_settings(url: str) -> BrokerSettings:
    """Read `rabbitmq-stream://user:password@host:5552/vhost`, or over TLS `rabbitmq-stream+tls://…:5551/vhost?ca=FILE`.

    Raises Misconfigured, without showing the password.
    """
    wrong = Misconfigured(
        f"the broker's address must look like {SCHEME}://user:password@host:5552/vhost, "
        f"or over TLS like {OVER_TLS}://user:password@host:5551/vhost?ca=FILE, with the file of its CA"
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is none, a bracket too many; its text may hold the password
        raise wrong from None
    if parts.scheme not in _PORTS or not parts.hostname or not parts.username or parts.password is None:
        raise wrong
    asked = parse_qsl(parts.query)
    if [name for name, _ in asked] != ([_CA] if parts.scheme == OVER_TLS else []):
        raise wrong
    stream_port, amqp_port = _PORTS[parts.scheme]
    return BrokerSettings(
        host=parts.hostname,
        stream_port=port or stream_port,
        amqp_port=amqp_port,
        vhost=unquote(parts.path[1:]) or "/",
        username=unquote(parts.username),
        password=SecretStr(unquote(parts.password)),
        tls_ca=Path(asked[0][1]) if asked else None,
    )
