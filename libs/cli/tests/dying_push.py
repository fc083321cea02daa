"""A push that is killed after it has sent some images: FOLDER STREAM URL COUNT."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from labelstream.producer import Producer, broker_settings
from labelstream_cli.importers import read_folder
from labelstream_cli.push.publishing import publish
from labelstream_cli.push.run import NAME
from labelstream_cli.push.state import PushState, StreamNotes, state_root


async def main(folder: Path, stream: str, url: str, count: int) -> None:
    broker = broker_settings(url)
    notes = StreamNotes.of(state_root(), broker.host, broker.stream_port, broker.vhost, stream)
    state = PushState.open(notes.directory, folder)

    def told(kind: str, number: int) -> None:
        if kind == "confirmed" and number:
            notes.reached(number)
        if kind == "sent" and number == count:
            os.kill(os.getpid(), signal.SIGKILL)

    async with Producer.connect(broker, stream, NAME, receipts=False) as producer:
        await publish(producer, read_folder(folder), told, state=state)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
