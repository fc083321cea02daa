"""Names that somebody who mistyped one may have meant."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.streams.ports import Broker
from labelstream_cli.reaching import Tell, not_told, stored

MOST = 5
_COMPARED = 10_000  # of the names with the same ending, and of the newest: comparing is slow
# The key "name" in MessagePack, then a text of up to 31, 255 or 65,535 bytes.
_NAME = re.compile(rb"\xa4name(?:([\xa0-\xbf])|\xd9(.)|\xda(..))", re.DOTALL)


async def closest_names(broker: Broker, project: str, name: str, *, tell: Tell = not_told) -> list[str]:
    """Return names of the project's annotations that are like `name`, the likeliest first."""
    names: dict[str, None] = {}
    of_project = re.compile(b"cloudEvents_project\\xa1" + re.escape(bytes([len(project)]) + project.encode()))
    async for deliveries in stored(broker, ANNOTATION_EVENTS, tell=tell):
        for delivery in deliveries:
            if of_project.search(delivery.raw):
                names.update(dict.fromkeys(_names(delivery.raw)))
    return like(name, names)


def like(name: str, names: Collection[str]) -> list[str]:
    """Return the names that are like `name`: in other case, as a part, or by their letters."""
    wanted = name.casefold()
    same = [one for one in names if one.casefold() == wanted]
    part = [one for one in names if wanted in one.casefold()]
    same_ending = [one for one in names if one[-4:] == name[-4:]]  # the number, as a rule
    compared = dict.fromkeys([*same_ending[-_COMPARED:], *list(names)[-_COMPARED:]])
    close = get_close_matches(name, compared, n=MOST, cutoff=0.6)
    found = [*same, *close[:3], *sorted(part, key=len)[:MOST], *close[3:]]
    return list(dict.fromkeys(found))[:MOST]


def _names(raw: bytes) -> list[str]:
    """Find names without decoding the event."""
    found = []
    for match in _NAME.finditer(raw):
        short, byte, word = match.groups()
        length = short[0] & 0x1F if short else byte[0] if byte else int.from_bytes(word, "big")
        found.append(raw[match.end() : match.end() + length].decode(errors="replace"))
    return found
