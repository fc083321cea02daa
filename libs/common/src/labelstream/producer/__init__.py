"""Pushes annotations onto a stream, as any labelling platform would, and waits for their receipts.

With asyncio:

    async with Producer.connect("rabbitmq-stream://user:password@127.0.0.1:5552", name="my-platform") as producer:
        box = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}
        message_id = await producer.submit(name="frame-1", image=Path("frame-1.jpg"), boxes=[box])
        receipt = await producer.wait_for_receipt(message_id, timeout_s=60)
        print(receipt.outcomes[0].outcome)

In a script, and in Django or Flask:

    with BlockingProducer.connect("rabbitmq-stream://user:password@127.0.0.1:5552", name="my-platform") as producer:
        message_id = producer.validate(["frame-1"])
        print(producer.wait_for_receipt(message_id, timeout_s=60).outcomes)

- A publisher name belongs to one open producer at a time: a second one of the same name would lose messages, because
  the broker takes them for repeats. Give each process a name of its own, and keep it: a stream remembers 255 names.
- Boxes are centre and size, in fractions of the image.
- `submit` and `edit` validate unless they say `validated=False`: say it of what nobody has looked at.
- `submit` returns once the message is on its way, and waits while too many are unconfirmed; `flush` and the end of
  `async with` wait for the broker's confirms. A broker that is away is waited for: for ever, or for `timeout_s`
  (TimedOut). Nothing is sent twice.
- What can't be sent any more (the stream was deleted, our user was locked out) is raised by the next call and by the
  end of `async with`. The producer is of no more use then: open another, and submit again what has no receipt.
- Every message gets one receipt. With an outbox, give your own `message_id`: the same id with the same content is the
  same message however often it is sent, and its later receipts say `duplicated`.
- An image travels inside its message up to about 1 MB. With `incoming=StoreSettings(…)` (the better way) it is put
  into the incoming bucket, once, and the message refers to it; with `inline=True` only one that is too large is.
  The settings are `StoreSettings(endpoint_url=…, access_key=…, secret_key=…)` from `labelstream.service.settings`,
  with the keys of the store's identity `producer`, which may write the incoming bucket and nothing else.
- `receipts=False` is for a user who may not read receipts, and for a producer that never asks for them.
"""

from labelstream.producer.address import broker_settings
from labelstream.producer.blocking import BlockingProducer
from labelstream.producer.images import ByReference
from labelstream.producer.inbox import Receipt
from labelstream.producer.limits import Limits, TimedOut
from labelstream.producer.producer import Details, Producer

__all__ = [
    "BlockingProducer",
    "ByReference",
    "Details",
    "Limits",
    "Producer",
    "Receipt",
    "TimedOut",
    "broker_settings",
]
