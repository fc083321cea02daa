"""The producer for asyncio."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.producer.address import broker_settings
from labelstream.producer.checking import check_text, check_texts
from labelstream.producer.images import ByReference, read_image
from labelstream.producer.inbox import Inbox, Receipt
from labelstream.producer.limits import Limits, within
from labelstream.producer.questions import Questions
from labelstream.producer.sending import Sending
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.service.tracing import stamp
from labelstream.streams.message import Message
from labelstream.streams.ports import Broker, Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import Split
from labelstream.wire import native

DEFAULT_STREAM, DEFAULT_NAME = "annotations", "producer"


class Details(TypedDict, total=False):
    """What else may be said of an annotation."""

    medium: str | None  # the photo or video that the image came from; default: the annotation's name
    split: Split | None  # the split that was published for the medium, if any
    validated: bool  # default: True, in an edit too, as far as the stream allows it
    source: Literal["manual", "ai"]  # default: manual
    tags: Sequence[str]  # words of your own
    producer: str | None  # who made it; only a keyed hash is kept
    message_id: str | None  # your own id, for an outbox; default: `{name}-{session}-{number}`


class Producer:
    """The one writer of a publisher name on an input stream; `labelstream.producer` is the manual.

    Every method may be called by several tasks at once. `timeout_s` is how long a call waits for broker, store or
    receipt before it raises TimedOut; None: for ever, or what `connect` was told.
    """

    def __init__(
        self,
        broker: Broker,
        stream: str = DEFAULT_STREAM,
        name: str = DEFAULT_NAME,
        *,
        receipts: bool = True,
        images: ByReference | None = None,
        timeout_s: float | None = None,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        health: Health | None = None,
    ) -> None:
        """Write `stream` under `name`, which nobody else uses at the time; `receipts`: this user may read them."""
        self._broker = broker
        self._stream = stream
        self._name = name
        self._with_receipts = receipts
        self._images = images
        self._timeout_s = timeout_s
        self._limits = limits
        self._health = health or Health()
        self._session = secrets.token_hex(4)  # so that nobody takes the receipt of another run for ours
        self._sending: Sending | None = None
        self._inbox: Inbox | None = None
        self._to_close = AsyncExitStack()

    @classmethod
    def connect(
        cls,
        address: str | BrokerSettings,
        stream: str = DEFAULT_STREAM,
        name: str = DEFAULT_NAME,
        *,
        receipts: bool = True,
        incoming: StoreSettings | None = None,
        inline: bool = False,
        timeout_s: float | None = None,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> Self:
        """Write `stream` of the broker at `address`, with images in the `incoming` store if it is given.

        `inline`: only those that are too large to travel inside a message.
        """
        settings = broker_settings(address) if isinstance(address, str) else address
        health = Health()
        images = None if incoming is None else ByReference.to(incoming, f"{stream}/", health, inline=inline)
        broker = RabbitBroker(settings, health, name)
        return cls(
            broker, stream, name, receipts=receipts, images=images, timeout_s=timeout_s, limits=limits, health=health
        )

    async def __aenter__(self) -> Self:
        """Raise Misconfigured when there is no such stream or we are refused, TimedOut when the broker is away."""
        self._to_close.push_async_callback(self._broker.close)
        if self._images is not None:
            self._to_close.push_async_callback(self._images.bucket.close)
        try:
            async with within(self._timeout_s, f"connecting to {self._stream}", self._health):
                await self._open()
        except BaseException:
            await self._to_close.aclose()
            raise
        return self

    async def _open(self) -> None:
        questions = Questions(self._broker, self._health)
        last = await questions.last_publishing_id(self._stream, self._name)
        inbox = None
        if self._with_receipts:
            end = await questions.end_of(ANNOTATION_EVENTS)
            start: Start = "first" if end is None else end + 1
            inbox = Inbox(lambda: self._broker.reader(ANNOTATION_EVENTS, start), self._limits.receipts_kept)
            self._to_close.push_async_callback(inbox.close)
        sending = Sending(
            self._broker.publisher(self._stream, self._name),
            last,
            self._limits,
            still_there=lambda: questions.still_there(self._stream, self._name),
            failed=inbox.fail if inbox is not None else lambda _: None,
        )
        self._to_close.push_async_callback(sending.close)
        self._inbox, self._sending = inbox, sending

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self._to_close.aclose()
            self._sending = self._inbox = None

    async def submit(
        self, *, name: str, image: bytes | Path | None, boxes: Iterable[dict[str, Any]], **details: Unpack[Details]
    ) -> str:
        """Submit one annotation; return the message's id. `boxes` are centre and size in fractions of the image.

        `details` are medium, split, validated (True, unless said otherwise), source, tags, producer and message_id.
        Raises Rejected for an image that is too large to travel inside a message, TypeError for a detail unheard of.
        """
        return await self._say("created", name, image, boxes, details)

    async def edit(
        self,
        *,
        name: str,
        boxes: Iterable[dict[str, Any]],
        image: bytes | Path | None = None,
        **details: Unpack[Details],
    ) -> str:
        """Replace an annotation's boxes; without an image it keeps the one that it has. Return the message's id.

        `details` are those of `submit`: an edit validates as well, unless it says validated=False.
        """
        return await self._say("edited", name, image, boxes, details)

    async def validate(self, names: Sequence[str], *, message_id: str | None = None) -> str:
        """Say that the annotations `names` are right; return the message's id."""
        return await self.publish(native.write_bulk("validated", _several(names), message_id=message_id))

    async def delete(self, names: Sequence[str], *, message_id: str | None = None) -> str:
        """Take the annotations `names` out of future datasets; return the message's id."""
        return await self.publish(native.write_bulk("deleted", _several(names), message_id=message_id))

    async def erase(
        self, *, names: Sequence[str] | None = None, medium: str | None = None, message_id: str | None = None
    ) -> str:
        """Have annotations, or all of a medium, erased with their images; return the message's id."""
        if (names is None) == (medium is None):
            raise ValueError("name either the annotations or the medium to erase")
        several = None if names is None else _several(names)
        check_texts("medium", [medium])
        return await self.publish(native.write_erasure(names=several, medium=medium, message_id=message_id))

    async def change_class_schema(self, schema: ClassSchema, *, message_id: str | None = None) -> str:
        """Give the project another class schema from here on, which may only add classes; return the message's id."""
        return await self.publish(native.write_class_schema(schema, message_id=message_id))

    async def publish(self, message: Message) -> str:
        """Publish a message of any wire, under its own id or one that it is given; return the id."""
        self._check_size(message)
        check_texts("message_id", [message.message_id])
        sending = self._opened()
        async with within(self._timeout_s, f"waiting for confirms from {self._stream}", self._health):
            await sending.room_for(len(message.body))
        return sending.add(message, lambda number: self._given(message, number)).message_id or ""

    async def flush(self, *, timeout_s: float | None = None) -> None:
        """Return when the broker has confirmed everything that was submitted."""
        sending = self._opened()
        doing = f"flushing {sending.unconfirmed} messages to {self._stream}"
        async with within(self._patience(timeout_s), doing, self._health):
            await sending.flush()

    async def wait_for_receipt(self, message_id: str, *, timeout_s: float | None = None) -> Receipt:
        """Return the receipt of one message, which may also have been sent by another run with an id of its own.

        Receipts are seen from the moment of connecting on; of those taken, the latest may be asked for again.
        """
        inbox, doing = self._answers(), f"waiting for the receipt of {message_id} {self._doubts}"
        async with within(self._patience(timeout_s), doing, self._health):
            await self._opened().flush()
            return await inbox.one(message_id)

    async def next_receipt(self, *, timeout_s: float | None = None) -> Receipt | None:
        """Return the next receipt of ours that nobody took yet; None when none is outstanding."""
        inbox, doing = self._answers(), f"waiting for a receipt {self._doubts}"
        async with within(self._patience(timeout_s), doing, self._health):
            await self._opened().flush()
            return await inbox.any()

    async def receipts(self) -> AsyncIterator[Receipt]:
        """Yield the receipt of each submitted message as it comes; end when none is outstanding."""
        while (receipt := await self.next_receipt()) is not None:
            yield receipt

    async def wait_for_receipts(self) -> dict[str, Receipt]:
        """Return the receipts of all submitted messages, by message id, when the last one is there."""
        return {receipt.message_id or "": receipt async for receipt in self.receipts()}

    async def _say(
        self,
        kind: Literal["created", "edited"],
        name: str,
        image: bytes | Path | None,
        boxes: Iterable[dict[str, Any]],
        details: Details,
    ) -> str:
        _check(image, details)
        data, boxes = await read_image(image), list(boxes)
        _check_texts(name, boxes, details)
        if data is None or self._images is None or self._images.inline:
            message = native.write(name, data, boxes, kind=kind, **details)
            if data is None or self._images is None or self._fits(message):
                return await self.publish(message)
        async with within(self._timeout_s, f"storing the image of {name}", self._health):
            reference = await self._images.put(data)
        return await self.publish(native.write(name, reference, boxes, kind=kind, **details))

    def _fits(self, message: Message) -> bool:
        return len(message.body) <= self._limits.message_bytes

    def _given(self, message: Message, number: int) -> Message:
        message_id = message.message_id or f"{self._name}-{self._session}-{number}"
        if self._inbox is not None:
            self._inbox.expect(message_id)
        traceparent = stamp(str(message.properties.get("traceparent", "")), self._stream, message_id)
        properties = {**message.properties, "traceparent": traceparent} if traceparent else message.properties
        return replace(message, message_id=message_id, properties=properties)

    def _check_size(self, message: Message) -> None:
        if not message.body:
            raise ValueError("a message needs a body of at least one byte")
        if not self._fits(message):
            reason = f"the message has {len(message.body)} bytes, and {self._limits.message_bytes} fit into it"
            if self._images is None:
                hint = "Send images by reference: give Producer.connect the incoming store."
                raise Rejected("image.bytes", reason, hint)
            raise Rejected("message.too_large", reason, "Send fewer names or boxes in one message.")

    @property
    def _doubts(self) -> str:
        second = f"a second live producer named {self._name!r} loses messages: is there one?"
        return f"(is annotation-ingest up? {second})"

    def _patience(self, timeout_s: float | None) -> float | None:
        return self._timeout_s if timeout_s is None else timeout_s

    def _opened(self) -> Sending:
        if self._sending is None:
            raise RuntimeError("this producer is not open: use it within `async with`")
        return self._sending

    def _answers(self) -> Inbox:
        if self._inbox is None:
            raise RuntimeError("this producer was told not to read receipts, or is not open (`async with`)")
        return self._inbox


def _several(names: Sequence[str]) -> Sequence[str]:
    """Return the names. Raises TypeError for a single text, which would be taken for its letters."""
    if isinstance(names, str):
        raise TypeError(f"names is the text {names!r}: give a list of names")
    several = list(names)
    for name in several:
        check_text("name", name)
    return several


def _check(image: object, details: Details) -> None:
    """Raise TypeError for what a typing error makes of an annotation."""
    unheard_of = details.keys() - Details.__annotations__.keys()
    if unheard_of:
        raise TypeError(f"there is no detail {min(unheard_of)!r}: there are {', '.join(Details.__annotations__)}")
    if not isinstance(image, bytes | Path | None):
        raise TypeError(f"image is {image!r:.80}: give its bytes, or a pathlib.Path to its file")
    if not isinstance(details.get("validated", True), bool):
        raise TypeError(f"validated is {details['validated']!r}: give True or False")


def _check_texts(name: str, boxes: Iterable[dict[str, Any]], details: Details) -> None:
    """Check every text of an annotation."""
    check_text("name", name)
    for what in ("medium", "split", "source", "producer", "message_id"):
        check_texts(what, [details.get(what)])
    check_texts("tags", details.get("tags") or ())
    check_texts("class", (one for one in (box.get("class") for box in boxes) if isinstance(one, str)))
