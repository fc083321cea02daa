"""Clocks of services that can be set wrong, by libfaketime.

A process reads once by how much its clock is wrong, when it starts. Were it read again and again, libfaketime would
also shift the clock that counts the time since the start, by which timeouts are measured: no machine does that.
(Told to leave that clock alone, version 0.9.10 breaks every sleep.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

PLACES = ("usr/lib/*/faketime", "usr/lib/faketime", "usr/local/lib/faketime")
LIBRARY = "libfaketimeMT.so.1"
SHARED = Path("/dev/shm")  # noqa: S108  # where libfaketime itself puts it
MEMORY, LOCK = "faketime_shm_", "sem.faketime_sem_"  # and the process id
A_DAY_S = 86_400


def find_library() -> Path | None:
    """Return where libfaketime is installed, if it is."""
    return next((file for place in PLACES for file in sorted(Path("/").glob(f"{place}/{LIBRARY}"))), None)


@dataclass(frozen=True)
class Clocks:
    """One file for each service that says by how much its clock is wrong."""

    library: Path
    files: Mapping[str, Path]

    @classmethod
    def of(cls, services: Iterable[str], folder: Path) -> Clocks | None:
        """Prepare the clocks of some services, all right at first; None where there is no libfaketime."""
        library = find_library()
        if library is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        clocks = cls(library, {service: folder / service for service in services})
        for service in clocks.files:
            clocks.set(service, 0)
        return clocks

    def told(self, service: str) -> dict[str, str]:
        """Return what a service has in its environment."""
        if service not in self.files:
            return {}
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.files[service]),
            "FAKETIME_CACHE_DURATION": str(A_DAY_S),
        }

    def set(self, service: str, by_s: int) -> None:
        """Let a service's clock be wrong by some seconds once it is started again; 0: right."""
        file = self.files[service]
        fresh = file.with_suffix(".new")
        fresh.write_text(f"{by_s:+}\n")
        fresh.replace(file)


def sweep(folder: Path = SHARED) -> None:
    """Remove what libfaketime left in memory for processes that were killed."""
    for file in folder.glob(f"{MEMORY}*"):
        number = file.name.removeprefix(MEMORY)
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            file.unlink(missing_ok=True)
            (folder / f"{LOCK}{number}").unlink(missing_ok=True)
