"""A text that no message can carry is told at once, and what may be said is in the manual."""

from __future__ import annotations

from typing import Any

import pytest

from labelstream.producer import BlockingProducer, Details, Producer
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message
from labelstream.wire.reading import read_submission

FILE_NAME = "caf\udce9.jpg"  # as os.listdir gives one that is not UTF-8
SHOWN = r"'caf\\udce9.jpg' has a lone surrogate"
BOX = {"class": FILE_NAME, "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


@pytest.mark.parametrize(
    ("method", "said"),
    [
        *(("submit", {field: FILE_NAME}) for field in ("name", "medium", "producer", "message_id")),
        ("submit", {"tags": ["night", FILE_NAME]}),
        ("submit", {"boxes": [BOX]}),
        ("edit", {"name": FILE_NAME}),
        ("validate", {"names": ["a", FILE_NAME]}),
        ("validate", {"names": ["a"], "message_id": FILE_NAME}),
        ("delete", {"names": [FILE_NAME]}),
        ("erase", {"names": [FILE_NAME]}),
        ("erase", {"medium": FILE_NAME}),
        ("publish", {"message": Message(b"x", message_id=FILE_NAME)}),
    ],
    ids=["name", "medium", "producer", "id", "tag", "class", "edit", "validate", "id of bulk", "delete", "erase",
         "erase medium", "publish"],
)  # fmt: skip
async def test_a_lone_surrogate_is_shown_and_harms_nothing_else(
    broker: MemoryBroker, sent: Any, method: str, said: dict[str, Any]
) -> None:
    whole = {"name": "a", "image": b"x", "boxes": []} if method in {"submit", "edit"} else {}
    async with Producer(broker) as producer:
        with pytest.raises(ValueError, match=SHOWN) as raised:
            await getattr(producer, method)(**{**whole, **said})
        await producer.validate(["b"])

    assert not isinstance(raised.value, UnicodeError)
    assert [read_submission(one).names for one in sent()] == [("b",)]


@pytest.mark.parametrize("names", [b"s1", [7]], ids=["bytes", "number"])
async def test_a_name_that_is_no_text_is_refused(broker: MemoryBroker, names: Any) -> None:
    async with Producer(broker) as producer:
        with pytest.raises(TypeError, match="is no text"):
            await producer.validate(names)


async def test_names_may_come_from_a_generator(broker: MemoryBroker, sent: Any) -> None:
    names: Any = (name for name in ("a", "b"))
    async with Producer(broker) as producer:
        await producer.validate(names)

    assert [read_submission(one).names for one in sent()] == [("a", "b")]


async def test_submitting_and_editing_validate_unless_told_otherwise(broker: MemoryBroker, sent: Any) -> None:
    async with Producer(broker) as producer:
        await producer.submit(name="a", image=b"x", boxes=[])
        await producer.edit(name="a", boxes=[])
        await producer.edit(name="a", boxes=[], validated=False)

    assert [read_submission(one).validated for one in sent()] == [True, True, False]


@pytest.mark.parametrize("kind", [Producer, BlockingProducer])
def test_the_manual_of_submit_names_every_detail(kind: type[Producer | BlockingProducer]) -> None:
    manual = kind.submit.__doc__ or ""
    assert [detail for detail in Details.__annotations__ if detail not in manual] == []
