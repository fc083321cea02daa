"""The kinds of error, told apart by what happens next.

Rejected      this message is bad           → park it, answer, go on
Unavailable   the world is bad              → wait, retry, say so in /readyz
AnotherWriter somebody else decides here    → exit with code 3, change nothing
anything else we are bad                    → die, the supervisor restarts
"""

from __future__ import annotations


class Rejected(Exception):
    """This input can't be handled, now or later, as it is."""

    def __init__(self, rule: str, reason: str, hint: str) -> None:
        """Name the `rule` broken (a stable id), the `reason` with the value, and a `hint` to act on."""
        super().__init__(f"{rule}: {reason}. {hint}")
        self.rule = rule
        self.reason = reason
        self.hint = hint


class Unavailable(Exception):
    """Something that we depend on does not answer; the same call may go through later."""

    def __init__(self, what: str, reason: str) -> None:
        """Say `what` is away ("broker", "object store") and the `reason` it gave."""
        super().__init__(f"{what} is unavailable: {reason}")
        self.what = what
        self.reason = reason


class AnotherWriter(Exception):
    """A second live writer of one publisher name: what was stored is not what we sent."""


class Misconfigured(Exception):
    """A setting is missing or wrong; the message names it and says what to do."""
