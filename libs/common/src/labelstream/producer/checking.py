"""A text that no message can carry is told where it was said, before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Iterable


def check_text(what: str, text: object) -> None:
    """Raise TypeError for what is no text, and ValueError, with its repr, for a text with a lone surrogate."""
    if not isinstance(text, str):
        raise TypeError(f"{what}: {text!r:.80} is no text")
    try:
        text.encode()
    except UnicodeEncodeError:  # os.listdir gives file names so that are not UTF-8
        reason = f"{what}: {text!r} has a lone surrogate, which no message can carry"
        raise ValueError(reason) from None


def check_texts(what: str, given: Iterable[object]) -> None:
    """Check each text of several; None is one that was not given."""
    for text in given:
        if text is not None:
            check_text(what, text)
