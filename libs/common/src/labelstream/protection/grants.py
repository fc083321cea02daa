"""Grants: what lets one device open one model. Enrolling and revoking touch no bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgpack
from pydantic import ValidationError

from labelstream.bundle import GrantContent, ModelKey
from labelstream.errors import Rejected
from labelstream.protection.sealing import NotForUs, Tampered, open_sealed, seal
from labelstream.values import Value

V = TypeVar("V", bound=Value)


def make_grant(content: GrantContent, device_recipient: str) -> bytes:
    """Seal a grant to one device."""
    return seal(pack(content), [device_recipient])


def open_grant(grant: bytes, identity: str, *, now_ms: int) -> GrantContent:
    """Return what a grant holds. Raises NotForUs, Tampered, and Rejected when it has expired."""
    try:
        content = unpack(GrantContent, open_sealed(grant, identity), rule="grant.damaged")
    except NotForUs as error:
        raise NotForUs("grant.not_for_us", error.reason, "Ask for a grant for this device's own key") from error
    except Tampered as error:
        raise Tampered("grant.damaged", error.reason, "Fetch the grant again") from error
    if content.expires_ms is not None and now_ms >= content.expires_ms:
        raise Rejected(
            "grant.expired",
            f"the grant of {content.model} to {content.device} ended at {to_the_minute(content.expires_ms)}, "
            f"and it is {to_the_minute(now_ms)}",
            "Ask for a new grant",
        )
    return content


def to_the_minute(time_ms: int) -> str:
    """Return a time as people on any device read it."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def check_grant(content: GrantContent, *, model: str, project: str) -> None:
    """Raise Rejected when a grant is for another model or project."""
    if (content.project, content.model) != (project, model):
        raise Rejected(
            "grant.other_model",
            f"the grant is for {content.project}/{content.model}, not for {project}/{model}",
            "Ask for a grant for this model",
        )


def grant_content(key: ModelKey, device: str, *, expires_ms: int | None = None) -> GrantContent:
    """Return what a grant of this model to `device` says."""
    return GrantContent(
        model=key.model,
        project=key.project,
        device=device,
        identity=key.identity,
        small_parts=key.small_parts,
        expires_ms=expires_ms,
    )


def seal_model_key(key: ModelKey, vault_recipient: str) -> bytes:
    """Seal a model's key and small parts to those who make grants."""
    return seal(pack(key), [vault_recipient])


def open_model_key(sealed: bytes, vault_identity: str) -> ModelKey:
    """Return a model's key and small parts; `vault_identity` may hold several keys. Raises NotForUs, Tampered."""
    return unpack(ModelKey, open_sealed(sealed, vault_identity), rule="model_key.damaged")


def pack(value: Value) -> bytes:
    """Return a value as MessagePack; bytes stay bytes."""
    packed: bytes = msgpack.packb(value.model_dump(by_alias=True))
    return packed


def unpack(kind: type[V], packed: bytes, *, rule: str) -> V:
    """Return the value that was packed. Raises Tampered with `rule` when it is no such value."""
    try:
        fields: Any = msgpack.unpackb(packed)
        return kind.model_validate(fields)
    except ValidationError as error:  # its own text would quote what was sealed
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors(include_input=False)})
        raise Tampered(rule, f"what was sealed is no {kind.__name__}: see {places}", "Make it anew") from None
    except (ValueError, msgpack.UnpackException) as error:
        raise Tampered(rule, f"what was sealed is no MessagePack: {type(error).__name__}", "Make it anew") from error
