"""What an attempt says of itself while it is at work: its epochs, its recoveries and the end of its log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import structlog

from labelstream.jobs.worker import Attempt
from labelstream_yolo.engine import LOG as ENGINE_LOG
from trainer.engine.contract import Progress, Recovery
from trainer.orders import LOG, PROGRESS, RECOVERIES

LOG_BYTES = 1 << 20  # of the end of the log

log = structlog.get_logger()


@dataclass
class Diary:
    """Kept in memory, and written to the store beside the training, which a store that is away does not hold up."""

    attempt: Attempt
    engine_dir: Path
    log_every_s: float = 5.0
    epochs: dict[int, Progress] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _written: dict[str, bytes | tuple[int, int]] = field(default_factory=dict)  # name → what was written last

    def note(self, progress: Progress) -> None:
        """Note an epoch; one that was trained again after a recovery replaces the older."""
        self.epochs[progress.epoch] = progress
        self.attempt.work.tell("epoch", epoch=progress.epoch, map50=progress.map50)
        self._news.set()

    def note_recovery(self, recovery: Recovery) -> None:
        """Note that the training went on by itself after something went wrong."""
        log.warning("training.recovered", job=self.attempt.job.id, **recovery.model_dump())
        self.recoveries.append(recovery)
        self.attempt.work.tell("recovered", epoch=recovery.epoch, rule=recovery.rule)
        self._news.set()

    @property
    def last_epoch(self) -> int:
        """The last epoch that was heard of; 0 when none was."""
        return max(self.epochs, default=0)

    async def keep_up(self) -> None:
        """Write what is new, at once, and the log every few seconds. Raises LeaseLost."""
        while True:
            await self.write()
            try:
                async with asyncio.timeout(self.log_every_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def write(self) -> None:
        """Write what changed since the last time; waits while the store is away. Raises LeaseLost."""
        async with self._writing:  # what is newer must not be overtaken by what is older
            self._news.clear()
            epochs = [self.epochs[number].model_dump() for number in sorted(self.epochs)]
            await self._put(PROGRESS, orjson.dumps(epochs))
            await self._put(RECOVERIES, orjson.dumps([each.model_dump() for each in self.recoveries]))
            await self._put_log()

    async def _put(self, name: str, content: bytes) -> None:
        if content != self._written.get(name, b"[]"):
            await self.attempt.put(name, content)
            self._written[name] = content

    async def _put_log(self) -> None:
        path = self.engine_dir / ENGINE_LOG
        if not path.exists():
            return
        stat = path.stat()
        state = (stat.st_size, stat.st_mtime_ns)
        if state != self._written.get(LOG):
            await self.attempt.put(LOG, await asyncio.to_thread(_end_of, path))
            self._written[LOG] = state


def _end_of(path: Path) -> bytes:
    """Return the end of a log, from the beginning of a line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_BYTES))
        content = file.read(LOG_BYTES)
    return content if size <= LOG_BYTES else content.partition(b"\n")[2]
