"""What the decoder's process says, as this side believes it: the process may have been taken over by what it read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from labelstream.errors import Rejected

_Whole = Annotated[int, Field(ge=0, le=1 << 40)]
_Pixels = Annotated[int, Field(ge=1, le=1 << 20)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Alive(_Said):
    """It works, though it has no frame yet."""

    kind: Literal["alive"]


class FrameLies(_Said):
    """A frame lies in a slot."""

    kind: Literal["frame"]
    slot: _Whole
    number: _Whole
    time_s: float
    width: _Pixels
    height: _Pixels
    line_bytes: _Whole
    turned: Literal[0, 90, 180, 270]  # clockwise, to show it upright


class Trouble(_Said):
    """Why something is refused."""

    rule: str = Field(pattern=r"^video\.[a-z_]{1,40}$")
    reason: str = Field(max_length=500)
    hint: str = Field(max_length=500)

    def rejected(self) -> Rejected:
        """Return it as an error."""
        return Rejected(self.rule, self.reason, self.hint)


class Refused(Trouble):
    """The video is refused, from here on."""

    kind: Literal["refused"]


class Ended(_Said):
    """The part that was asked for has been gone through."""

    kind: Literal["ended"]
    frames: _Whole
    trouble: Trouble | None


class Fault(_Said):
    """The process met a fault of ours."""

    kind: Literal["fault"]
    reason: str


Message = Alive | FrameLies | Refused | Ended | Fault
read_message = TypeAdapter[Message](Annotated[Message, Field(discriminator="kind")]).validate_json
