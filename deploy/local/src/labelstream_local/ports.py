"""Free ports on 127.0.0.1, below the range that the system hands out to outgoing connections."""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from collections.abc import Iterable
from itertools import islice

from labelstream_local.process import StartFailed

HOST = "127.0.0.1"
CHOSEN = "LABELSTREAM_LOCAL_PORTS"  # in the environment: first-last; who starts much at once shares the range out
_LOWEST, _HIGHEST = 11_000, 20_999  # + 10,000 is a range of its own, below Linux's ephemeral ports from 32,768 on
_GIVEN: deque[int] = deque(maxlen=200)  # of late, by this process: who asked for them may not listen yet
TWIN = 10_000  # SeaweedFS opens a second port at this distance from each main port


def is_free(port: int) -> bool:
    """Return whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Return whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def with_twin_free(port: int) -> bool:
    """Return whether the port and its twin are both free."""
    return is_free(port) and is_free(port + TWIN)


def choose(count: int, taken: Iterable[int] = ()) -> list[int]:
    """Return `count` ports that are free, as their twins are; none of `taken`, and those given last only at need.

    Raises StartFailed when there are not so many.
    """
    lowest, highest = _range()
    drawn = random.SystemRandom().sample(range(lowest, highest + 1), highest + 1 - lowest)
    unasked, refused = sorted(drawn, key=_GIVEN.__contains__), set(taken)
    chosen = list(islice((port for port in unasked if port not in refused and with_twin_free(port)), count))
    if len(chosen) < count:
        raise StartFailed(
            f"of the ports {lowest} to {highest} of {HOST}, {count} were wanted and {len(chosen)} are free"
        )
    _GIVEN.extend(chosen)
    return chosen


def _range() -> tuple[int, int]:
    first, _, last = os.environ.get(CHOSEN, f"{_LOWEST}-{_HIGHEST}").partition("-")
    return int(first), int(last)
