"""A server as a tree of processes: started, waited for, its memory and CPU watched, ended."""

from __future__ import annotations

import asyncio
import http.client
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from benchmarks.serving.load import Aim, in_form
from labelstream_local.ports import HOST, choose
from labelstream_local.process import Child, Command, last_lines, stop_marked, wait_until

UP_WITHIN_S = 120.0
EVERY_S = 0.5  # between two looks at the memory


@dataclass(frozen=True)
class Start:
    """How to start a server; `{port}` in arguments and environment is where it is to listen."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    path: str = "/predict"  # where images are sent to
    form: str | None = None  # the field of the form that an image is sent in; None: its bytes are the body

    def at(self, port: int) -> Start:
        """Fill in the port."""
        environment = {name: value.replace("{port}", str(port)) for name, value in self.environment.items()}
        return replace(
            self, argv=tuple(each.replace("{port}", str(port)) for each in self.argv), environment=environment
        )


@dataclass
class Watched:
    """A server that runs, and the most memory that its processes held together while somebody looked."""

    port: int
    path: str
    root: psutil.Process
    pss_bytes: int = 0  # shared pages counted once
    rss_bytes: int = 0

    @property
    def url(self) -> str:
        """Where an image's bytes are sent to."""
        return f"http://{HOST}:{self.port}{self.path}"

    def tree(self) -> list[psutil.Process]:
        """Return its processes."""
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the processes which run now took so far."""
        spent = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent

    def look(self) -> None:
        """Look at the memory once."""
        pss = rss = 0
        for process in self.tree():
            held = memory_of(process.pid)
            pss, rss = pss + held.get("Pss", 0), rss + held.get("Rss", 0)
        self.pss_bytes, self.rss_bytes = max(self.pss_bytes, pss), max(self.rss_bytes, rss)

    @asynccontextmanager
    async def looked_at(self) -> AsyncIterator[None]:
        """Look at the memory all the while."""

        async def look() -> None:
            while True:
                await asyncio.to_thread(self.look)
                await asyncio.sleep(EVERY_S)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()


def memory_of(pid: int) -> dict[str, int]:
    """Return what the system says of a process's memory, in bytes by name; empty when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (OSError, ProcessLookupError):
        return {}
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[-1] == "kB"}


@asynccontextmanager
async def served(name: str, start: Start, image: bytes, folder: Path) -> AsyncIterator[Watched]:
    """Run a server in a folder, from the first answer about `image` on; all that it started is ended with it."""
    port = choose(1)[0]
    ready = start.at(port)
    mark, log = str(uuid.uuid4()), folder / f"{name}.log"
    home = {"HOME": str(folder), "TMPDIR": str(folder)}
    child = Child(Command(name, ready.argv, Path.cwd(), {**home, **ready.environment}), mark, log)
    child.start()
    try:
        up = await asyncio.to_thread(
            wait_until, lambda: _answers(port, ready, image), lambda: child.running, UP_WITHIN_S, 0.2
        )
        if not up:
            raise SystemExit(f"{name} did not answer:\n{last_lines(log)}")
        yield Watched(port, ready.path, psutil.Process(child.pid))
    finally:
        await asyncio.to_thread(child.stop)
        await asyncio.to_thread(stop_marked, mark)


def _answers(port: int, start: Start, image: bytes) -> bool:
    asking = http.client.HTTPConnection(HOST, port, timeout=10)
    aim = Aim(HOST, port, start.path)
    if start.form is not None:
        aim, image = aim.with_form(), in_form(start.form, image)
    try:
        asking.request("POST", aim.path, image, dict(aim.headers))
        return asking.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()
