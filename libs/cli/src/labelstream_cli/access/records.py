"""The records of devices, people and API keys, a page at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from labelstream import keys
from labelstream.access import ApiKey, Device, User
from labelstream.blobs.ports import BlobNotFound, Blobs

R = TypeVar("R", Device, User, ApiKey)

DEVICES = keys.device("").removesuffix(".json")
USERS = keys.user("").removesuffix(".json")
KEYS = keys.api_key("").removesuffix(".json")


@dataclass(frozen=True)
class Page(Generic[R]):
    """Some records, by name."""

    records: tuple[R, ...]
    unreadable: tuple[str, ...]  # names
    more: int  # that come behind them
    last: str  # the name to go on behind


async def read_page(resources: Blobs, folder: str, kind: type[R], after: str, limit: int) -> Page[R]:
    """Read at most `limit` records (0: all) whose names come behind `after`. Raises Unavailable."""
    names = [info.key.removeprefix(folder).removesuffix(".json") async for info in resources.list(folder)]
    behind = sorted(name for name in names if name > after)
    wanted = behind[:limit] if limit else behind
    found = await asyncio.gather(*(_read(resources, f"{folder}{name}.json", kind) for name in wanted))
    return Page(
        records=tuple(record for record in found if isinstance(record, kind)),
        unreadable=tuple(name for name, record in zip(wanted, found, strict=True) if record == "unreadable"),
        more=len(behind) - len(wanted),
        last=wanted[-1] if wanted else after,
    )


async def _read(resources: Blobs, key: str, kind: type[R]) -> R | str:
    try:
        return kind.model_validate_json((await resources.get(key)).data)
    except BlobNotFound:
        return "gone"
    except ValidationError:  # its text would quote the record
        return "unreadable"
