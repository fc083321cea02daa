"""The API keys that count here, by id: what every request looks into."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from inference.metrics import KEY_OUTCOMES, KEY_REQUESTS
from labelstream.access import KeyFacts, KeyList
from labelstream.errors import Unavailable

RETRY_AFTER_S = 5


class NotYet(Unavailable):
    """Nobody has told us yet which keys count; until then nobody is let in."""

    retry_after_s = RETRY_AFTER_S


class Ring:
    """Holds one list, and changes it as a whole: a request sees the old one or the new one."""

    def __init__(self, keys: KeyList | None = None) -> None:
        """Hold `keys`, or none as long as it is not known which there are."""
        self._keys: Mapping[str, KeyFacts] | None = None
        if keys is not None:
            self.hold(keys)

    @property
    def is_known(self) -> bool:
        """Whether there is a list, though it may be empty."""
        return self._keys is not None

    def hold(self, keys: KeyList) -> None:
        """Let these keys count from now on, and no others; what was counted for keys that are gone is forgotten."""
        held = {key.id: key for key in keys.keys}
        for gone in (self._keys or {}).keys() - held.keys():
            for outcome in KEY_OUTCOMES:
                with suppress(KeyError):  # nothing was counted
                    KEY_REQUESTS.remove(gone, outcome)
        self._keys = held

    def find(self, key_id: str) -> KeyFacts | None:
        """Return a key, whatever became of it. Raises NotYet."""
        if self._keys is None:
            raise NotYet("the list of API keys", "it is not here yet")
        return self._keys.get(key_id)
