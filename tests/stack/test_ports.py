"""Ports for servers that start a moment later."""

import pytest

from labelstream_local import ports
from labelstream_local.process import StartFailed


def test_none_is_given_twice_while_others_are_free() -> None:
    given = [port for _ in range(100) for port in ports.choose(2)]
    assert len(set(given)) == len(given)


def test_a_range_with_too_few_free_ports_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.choose(1)[0]
    monkeypatch.setenv(ports.CHOSEN, f"{first}-{first}")
    assert ports.choose(1) == [first]
    with pytest.raises(StartFailed, match=f"of the ports {first} to {first} of 127.0.0.1, 2 were wanted"):
        ports.choose(2)
    with pytest.raises(StartFailed, match="0 are free"):
        ports.choose(1, taken=[first])
