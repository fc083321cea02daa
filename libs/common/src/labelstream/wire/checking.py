"""What holds for the texts of every submission, whichever wire it came on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from labelstream.errors import Rejected
from labelstream.wire.limits import MAX_KEY, MAX_NAMES, MAX_NAMES_BYTES, MAX_TEXT
from labelstream.wire.personal import is_personal
from labelstream.wire.submission import ImageReference, Submission

KEY = "the image's key"
# Control characters break logs, tables and S3 keys; a lone surrogate can't be written as UTF-8 at all.
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def checked(submission: Submission) -> Submission:
    """Return `submission` when all its texts may stand in a receipt. Raises Rejected, repeating no text."""
    if not all(name.strip() for name in submission.names):
        raise Rejected("name.missing", "a name is empty", "Give every annotation a unique name.")
    texts = list(_texts(submission))
    together = " ".join(text for _, text in texts)  # thousands of names are looked through at once
    if _UNFIT.search(together) or is_personal(together) or any(len(text) > MAX_TEXT for _, text in texts):
        for what, text in texts:
            _check(what, text)
    if isinstance(submission.image, ImageReference):
        _check_key(submission.image.key)
    check_amount("names", submission.names)
    if submission.class_schema is not None:
        check_amount("classes", submission.class_schema.classes)
    return submission


def check_amount(what: str, texts: Iterable[str]) -> None:
    """Raise Rejected(message.too_large) when `texts` are too many, or too long together."""
    listed = list(texts)
    if len(listed) > MAX_NAMES:
        raise too_large(what, len(listed), MAX_NAMES)
    size = sum(len(text.encode()) for text in listed)
    if size > MAX_NAMES_BYTES:
        raise too_large(f"bytes of {what}", size, MAX_NAMES_BYTES)


def too_large(what: str, found: int, most: int) -> Rejected:
    """Return the rejection of a message that asks for too much at once."""
    return Rejected(
        "message.too_large",
        f"the message holds {found} {what}, {most} are allowed",
        f"Send at most {most} {what} in one message; split what is longer into several.",
    )


def check_impersonal(what: str, text: str) -> None:
    """Raise Rejected(text.personal) when an e-mail address stands in `text`, without repeating it."""
    if is_personal(text):
        raise Rejected(
            "text.personal",
            f"{what} holds an e-mail address (not shown)",
            "Send names, media, tags, classes and keys without personal data; who made it belongs into the "
            "producer's field, of which only a keyed hash is kept.",
        )


def _check(what: str, text: str) -> None:
    found = _UNFIT.search(text)
    if found:
        raise Rejected(
            "message.malformed",
            f"{what} holds the character U+{ord(found[0]):04X}",
            "Send texts without control characters and without halves of surrogate pairs.",
        )
    if len(text) > MAX_TEXT and what != KEY:
        reason = f"{what} has {len(text)} characters"
        raise Rejected("message.malformed", reason, f"Send {MAX_TEXT} characters at most.")
    check_impersonal(what, text)


def _check_key(key: str) -> None:
    size = len(key.encode())
    if size > MAX_KEY:
        raise Rejected("message.malformed", f"{KEY} has {size} bytes", f"Send {MAX_KEY} bytes at most, in UTF-8.")


def _texts(submission: Submission) -> Iterator[tuple[str, str]]:
    yield from (("a name", name) for name in submission.names)
    yield from (("a tag", tag) for tag in submission.tags)
    yield from (("a box's class", cls) for cls in {box.cls: None for box in submission.boxes} if isinstance(cls, str))
    if submission.medium is not None:
        yield "the medium", submission.medium
    if isinstance(submission.image, ImageReference):
        yield KEY, submission.image.key
    if submission.class_schema is not None:
        yield "the schema's name", submission.class_schema.name
        yield from (("a class", name) for name in submission.class_schema.classes)
