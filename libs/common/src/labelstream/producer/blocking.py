"""The producer for code without asyncio: scripts, Django, Flask."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar, Unpack

import anyio
from anyio.from_thread import BlockingPortal

from labelstream.classes import ClassSchema
from labelstream.producer.inbox import Receipt
from labelstream.producer.limits import Limits
from labelstream.producer.producer import DEFAULT_NAME, DEFAULT_STREAM, Details, Producer
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.message import Message

T = TypeVar("T")

AT_EXIT_S = 5.0  # what a forgotten producer may take of the program's end


class Options(TypedDict, total=False):
    """What `Producer.connect` takes besides address, stream and name."""

    receipts: bool
    incoming: StoreSettings | None
    inline: bool
    timeout_s: float | None
    limits: Limits


class BlockingProducer:
    """A `Producer` in a thread of its own, with the same methods, which several threads may call at once.

    Use it within `with`, or `open` and `close` it. A process that is forked afterwards needs its own. One that was
    forgotten sends what is left at the end of the program, for five seconds at most, and warns.
    """

    def __init__(self, producer: Producer) -> None:
        """Wrap a producer that is not open."""
        self._producer = producer
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._process = 0
        self._thread: threading.Thread | None = None

    @classmethod
    def connect(
        cls,
        address: str | BrokerSettings,
        stream: str = DEFAULT_STREAM,
        name: str = DEFAULT_NAME,
        **options: Unpack[Options],
    ) -> Self:
        """Write `stream` of the broker at `address`; `options` are those of `Producer.connect`."""
        return cls(Producer.connect(address, stream, name, **options))

    def open(self) -> Self:
        """Connect. Raises Misconfigured and TimedOut."""
        with self._lock:
            if self._portal is not None:
                raise RuntimeError("this producer is open already")
            started: Future[BlockingPortal] = Future()
            # A daemon, and no context manager of anyio's: a program that forgot us must still end.
            self._thread = threading.Thread(target=anyio.run, args=(_serve, started), daemon=True)
            self._thread.start()
            self._portal = started.result()
            self._process = os.getpid()
        atexit.register(self._end_of_program)
        try:
            self._call(self._producer.__aenter__)
        except BaseException:
            self._stop()
            raise
        return self

    def close(self) -> None:
        """Send the rest, wait for its confirms, and disconnect."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._portal is None:
            return
        try:
            self._call(lambda: self._producer.__aexit__(kind, error, traceback))
        finally:
            self._stop()

    def submit(
        self, *, name: str, image: bytes | Path | None, boxes: Iterable[dict[str, Any]], **details: Unpack[Details]
    ) -> str:
        """Submit one annotation; return the message's id.

        `details` are medium, split, validated (True, unless said otherwise), source, tags, producer and message_id.
        """
        return self._call(lambda: self._producer.submit(name=name, image=image, boxes=boxes, **details))

    def edit(
        self,
        *,
        name: str,
        boxes: Iterable[dict[str, Any]],
        image: bytes | Path | None = None,
        **details: Unpack[Details],
    ) -> str:
        """Replace an annotation's boxes, and its image if there is one; return the message's id.

        `details` are those of `submit`: an edit validates as well, unless it says validated=False.
        """
        return self._call(lambda: self._producer.edit(name=name, boxes=boxes, image=image, **details))

    def validate(self, names: Sequence[str], *, message_id: str | None = None) -> str:
        """Say that the annotations `names` are right; return the message's id."""
        return self._call(lambda: self._producer.validate(names, message_id=message_id))

    def delete(self, names: Sequence[str], *, message_id: str | None = None) -> str:
        """Take the annotations `names` out of future datasets; return the message's id."""
        return self._call(lambda: self._producer.delete(names, message_id=message_id))

    def erase(
        self, *, names: Sequence[str] | None = None, medium: str | None = None, message_id: str | None = None
    ) -> str:
        """Have annotations, or all of a medium, erased with their images; return the message's id."""
        return self._call(lambda: self._producer.erase(names=names, medium=medium, message_id=message_id))

    def change_class_schema(self, schema: ClassSchema, *, message_id: str | None = None) -> str:
        """Give the project another class schema from here on; return the message's id."""
        return self._call(lambda: self._producer.change_class_schema(schema, message_id=message_id))

    def publish(self, message: Message) -> str:
        """Publish a message of any wire, under its own id or one that it is given; return the id."""
        return self._call(lambda: self._producer.publish(message))

    def flush(self, *, timeout_s: float | None = None) -> None:
        """Return when the broker has confirmed everything that was submitted."""
        self._call(lambda: self._producer.flush(timeout_s=timeout_s))

    def wait_for_receipt(self, message_id: str, *, timeout_s: float | None = None) -> Receipt:
        """Return the receipt of one message."""
        return self._call(lambda: self._producer.wait_for_receipt(message_id, timeout_s=timeout_s))

    def next_receipt(self, *, timeout_s: float | None = None) -> Receipt | None:
        """Return the next receipt of ours that nobody took yet; None when none is outstanding."""
        return self._call(lambda: self._producer.next_receipt(timeout_s=timeout_s))

    def receipts(self) -> Iterator[Receipt]:
        """Yield the receipt of each submitted message as it comes; end when none is outstanding."""
        while (receipt := self.next_receipt()) is not None:
            yield receipt

    def wait_for_receipts(self) -> dict[str, Receipt]:
        """Return the receipts of all submitted messages, by message id, when the last one is there."""
        return {receipt.message_id or "": receipt for receipt in self.receipts()}

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._portal is None:
            raise RuntimeError("this producer is not open: use it within `with`")
        if self._process != os.getpid():
            raise RuntimeError("this producer was opened before the process was forked: open one in each process")
        future = self._portal.start_task_soon(work)
        try:
            return future.result()
        except CancelledError as error:
            raise RuntimeError("this producer was closed meanwhile") from error
        finally:
            future.cancel()  # after Ctrl-C nobody waits for it any more; does nothing to one that is done

    def _stop(self) -> None:
        atexit.unregister(self._end_of_program)
        with self._lock:
            portal, self._portal = self._portal, None
        if portal is not None and self._thread is not None:
            portal.call(portal.stop, True)  # whoever still waits in another thread is told
            self._thread.join()

    def _end_of_program(self) -> None:
        portal = self._portal
        if portal is None or self._process != os.getpid():
            return
        warnings.warn("a BlockingProducer was not closed: use `with`, or call close()", RuntimeWarning, stacklevel=1)
        portal.start_task_soon(lambda: self._producer.flush(timeout_s=AT_EXIT_S)).result()


async def _serve(started: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()
