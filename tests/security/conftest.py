"""Whom the tests of this folder believe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .certificates import Authority, Shown, signing_itself

# Each wrong certificate: what makes it, from our authority and another, and what is said of it.
WRONG: dict[str, tuple[Callable[[Authority, Authority, Path], Shown], str]] = {
    "another-ca": (lambda _, other, folder: other.signs(folder), "must name a file with the certificate of the CA"),
    "itself": (lambda *where: signing_itself(where[-1]), "must name a file with the certificate of the CA"),
    "another-name": (lambda ours, _, folder: ours.signs(folder, "elsewhere.example"), "connect to a name that stands"),
    "another-address": (lambda ours, _, folder: ours.signs(folder, "192.0.2.7"), "connect to a name that stands"),
    "expired": (lambda ours, _, folder: ours.signs(folder, lasts_hours=-1), "it must be renewed there"),
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA that clients believe."""
    return Authority.at(tmp_path / "ca.pem")


@pytest.fixture
def shown(authority: Authority, tmp_path: Path) -> Shown:
    """What a server shows that they believe."""
    return authority.signs(tmp_path / "server")


@pytest.fixture(params=list(WRONG))
def wrong(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> tuple[Shown, str]:
    """What a server shows that they must not believe, and what is to be said of it."""
    make, said = WRONG[request.param]
    return make(authority, Authority.at(tmp_path / "other.pem"), tmp_path / "wrong"), said
