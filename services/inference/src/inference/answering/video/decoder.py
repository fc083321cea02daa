"""The decoder's process, seen from the service: frames come, in order; it is ended when it stalls, and at the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from inference.answering.video.messages import Alive, Ended, Fault, FrameLies, Message, Refused, read_message
from inference.answering.video.order import Order
from inference.answering.video.slots import Slots
from inference.engine.geometry import Pixels
from labelstream.errors import Rejected

_MODULE = "inference.answering.video.child"
_HINT = "Save the video again, and send the new file."

log = structlog.get_logger()


@dataclass(frozen=True)
class Frame:
    """A frame in its slot."""

    lies: FrameLies
    decoder: Decoder

    @property
    def number(self) -> int:
        """Which frame of the video it is."""
        return self.lies.number

    @property
    def time_s(self) -> float:
        """When it is shown, in seconds from the first frame on."""
        return self.lies.time_s

    def pixels(self) -> Pixels:
        """Look at it; not any more once it is freed. Raises Rejected."""
        return self.decoder.slots.look(self.lies)

    def free(self) -> None:
        """Let the decoder write another one over it."""
        self.decoder.free(self.lies.slot)


@dataclass
class Decoder:
    """A running process that decodes one video."""

    slots: Slots
    process: asyncio.subprocess.Process
    stall_s: float
    ended: Ended | None = field(default=None, init=False)

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield the frames that are wanted.

        Take the next one only while a slot is free: a decoder that says nothing for `stall_s` is held to be stuck.
        Raises Rejected when the video, or the decoder with it, ends too early.
        """
        while self.ended is None:
            match await self._heard():
                case FrameLies() as lies:
                    yield Frame(lies, self)
                case Refused() as refused:
                    raise refused.rejected()
                case Ended() as ended:
                    self.ended = ended
                case Fault() as fault:
                    raise RuntimeError(f"the decoder met a fault:\n{fault.reason}")
                case Alive():
                    pass

    def free(self, slot: int) -> None:
        """Tell the decoder that a slot is free."""
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        if not self.process.stdin.is_closing():
            self.process.stdin.write(bytes([slot]))

    async def end(self) -> None:
        """End the process, whatever it does."""
        with suppress(ProcessLookupError):  # it has ended by itself
            self.process.kill()
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        self.process.stdin.close()
        await self.process.communicate()  # what it said last is read off: its end is not seen before that of its pipe

    async def _heard(self) -> Message:
        assert self.process.stdout is not None  # noqa: S101  # it was started with a pipe
        try:
            async with asyncio.timeout(self.stall_s):
                line = await self.process.stdout.readline()
                if line.endswith(b"\n"):
                    return read_message(line)
                status = await self.process.wait()
        except TimeoutError as error:
            raise Rejected(
                "video.decoder_stalled", f"decoding it came no further for {self.stall_s:g} s", _HINT
            ) from error
        except ValueError as error:  # a line too long, or none of ours
            what = "says what it can't" if isinstance(error, ValidationError) else "says too much"
            raise _died(what) from error
        log.warning("video.decoder_died", status=status)
        raise _died(f"ended with status {status}")


@asynccontextmanager
async def decoding(order: Order, slots: Slots, stall_s: float) -> AsyncIterator[Decoder]:
    """Start a decoder; it has ended when this does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", _MODULE, order.to_json(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(order.video, order.memory), env={}, cwd="/",
    )  # fmt: skip  # no environment: it holds secrets
    decoder = Decoder(slots, process, stall_s)
    try:
        yield decoder
    finally:
        await decoder.end()


def _died(how: str) -> Rejected:
    return Rejected("video.decoder_died", f"the process that decodes it {how}", _HINT)
