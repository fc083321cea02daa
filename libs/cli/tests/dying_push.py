"""A push that is killed at a chosen moment: FOLDER STREAM URL MOMENT COUNT.

MOMENT is `sent`: after so many images were handed over; or `unnoted`: when the broker has confirmed that many, and
before that is noted.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from labelstream.producer import Producer, broker_settings
from labelstream_cli.importers import read_folder
from labelstream_cli.push.publishing import publish
from labelstream_cli.push.run import NAME
from labelstream_cli.push.state import Did, PushState, StreamNotes, state_root


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(PushState):
    """Notes that end the process in place of being written."""

    dies_at = 0
    noted = 0

    def note(self, did: Did, stamps: Iterable[tuple[str, str]]) -> None:
        stamps = list(stamps)
        self.noted += len(stamps)
        if self.noted >= self.dies_at:
            die()
        super().note(did, stamps)


async def main(folder: Path, stream: str, url: str, moment: str, count: int) -> None:
    broker = broker_settings(url)
    notes = StreamNotes.of(state_root(), broker.host, broker.stream_port, broker.vhost, stream)
    state = (Dying if moment == "unnoted" else PushState).open(notes.directory, folder)
    Dying.dies_at = count

    def told(kind: str, number: int) -> None:
        if kind == "confirmed" and number:
            notes.reached(number)
        if (kind, number) == (moment, count):
            die()

    async with Producer.connect(broker, stream, NAME, receipts=False) as producer:
        await publish(producer, read_folder(folder), told, state=state)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
