"""What RabbitMQ imports when it starts: users with their permissions, and the place for what is no job."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from labelstream_local.rights import DEAD, RIGHTS, Principal, Served, patterns

_VHOST = "/"
_SALT_BYTES = 4  # as RabbitMQ has it


def definitions(passwords: Mapping[str, str], served: Served, retired: Sequence[str] = ()) -> str:
    """Return the definitions, as JSON; the same passwords for the same projects give the same bytes.

    Of `retired`, users of earlier times, nobody can log in any more: an import takes no user away.
    """
    told = {
        "users": [_user(one, passwords[one.name]) for one in RIGHTS] + [_locked(name) for name in retired],
        "vhosts": [{"name": _VHOST}],
        "permissions": [_permission(one, served) for one in RIGHTS] + [_no_permission(name) for name in retired],
        "exchanges": [_dead(type="fanout", internal=False)],
        "queues": [_dead(arguments={"x-queue-type": "quorum"})],
        "bindings": [_bound(DEAD, DEAD)],
    }
    return json.dumps(told, indent=1) + "\n"


def hashed(user: str, password: str) -> str:
    """Return a password as RabbitMQ keeps it: salt and SHA-256, in base64.

    The salt keeps equal passwords from looking equal; it is made of what it salts, so that nothing changes unless
    the password does. That is no weakness where passwords are random and long, as ours are.
    """
    salt = hashlib.sha256(f"{user}:{password}".encode()).digest()[:_SALT_BYTES]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(principal: Principal, password: str) -> dict[str, Any]:
    return {
        "name": principal.name,
        "password_hash": hashed(principal.name, password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(principal.broker.tags),
    }


def _locked(name: str) -> dict[str, Any]:
    return {"name": name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}


def _permission(principal: Principal, served: Served) -> dict[str, str]:
    return {"user": principal.name, "vhost": _VHOST, **vars(patterns(principal.broker, served))}


def _no_permission(name: str) -> dict[str, str]:
    return {"user": name, "vhost": _VHOST, "configure": "^$", "write": "^$", "read": "^$"}


def _dead(**more: Any) -> dict[str, Any]:
    return {"name": DEAD, "vhost": _VHOST, "durable": True, "auto_delete": False, "arguments": {}, **more}


def _bound(exchange: str, queue: str) -> dict[str, Any]:
    to = {"destination": queue, "destination_type": "queue", "routing_key": queue, "arguments": {}}
    return {"source": exchange, "vhost": _VHOST, **to}
