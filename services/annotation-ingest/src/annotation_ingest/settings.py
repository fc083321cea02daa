"""What annotation-ingest is told: `LABELSTREAM_INGEST__…`, beside the settings that every service shares."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from labelstream.service.settings import ServiceSettings, Settings
from labelstream.streams.ports import Retention
from labelstream.values import Project


class Quota(Settings):
    """How much may come on an input stream; None: as much as comes."""

    messages_per_s: float | None = Field(None, gt=0, description="faster ones wait in the stream")
    image_bytes: int | None = Field(None, ge=1, description="stored for it in all; what would go beyond is rejected")


class InputSettings(Settings):
    """An input stream, and what its producers are trusted with."""

    # Five thousand names that repeat messages of a stream with a longer name would not fit into one receipt.
    stream: str = Field("annotations", pattern=r"^[A-Za-z0-9_.:-]{1,40}$")
    project: Project = "default"
    may_validate: bool = Field(True, description="whether what comes here can count as validated")
    may_change_schema: bool = Field(False, description="whether class schema changes are taken from here")
    may_erase: bool = Field(False, description="whether requests to erase are taken from here")
    may_overrule: bool = Field(
        True, description="whether what comes here can change what was validated, deleted, or drawn by a person"
    )
    schema_name: str = Field("example", alias="schema", description="a shipped class schema, or the path of one's own")
    incoming_prefix: str = Field(
        default_factory=lambda told: f"{told['stream']}/",
        min_length=1,
        description="what the keys of the files begin with that its messages may refer to; <stream>/ if not given",
    )
    quota: Quota = Quota()


class ImageLimits(Settings):
    """How large an image may be."""

    max_bytes: int = Field(32 << 20, ge=1, description="of the file")
    max_pixels: int = Field(100_000_000, ge=1, description="width times height; read from the header before decoding")


class SnapshotSettings(Settings):
    """When the view is copied to the store, for a start on a machine without it."""

    every_messages: int = Field(50_000, ge=1)
    every_s: float = Field(3600, gt=0, description="while there is anything new")


class ParkingSettings(Settings):
    """How long the bytes of refused messages are kept."""

    max_bytes: int = Field(1 << 30, ge=1_000_000)
    max_age_s: int = Field(30 * 24 * 3600, ge=60)

    @property
    def retention(self) -> Retention:
        """The parked stream's retention."""
        return Retention(max_bytes=self.max_bytes, max_age_s=self.max_age_s)


class IngestGroup(Settings):
    """Settings of annotation-ingest alone."""

    inputs: tuple[InputSettings, ...] = Field((InputSettings(),), min_length=1, description="as JSON in one variable")
    producer_hash_key: SecretStr = Field(description="keys the hash under which a producer is known", min_length=16)
    image: ImageLimits = ImageLimits()
    box_tolerance: float = Field(0.01, ge=0, lt=0.5, description="a box may stick out so far, in sides; then it is cut")
    decoders: int = Field(2, ge=1, description="child processes that decode images")
    decode_timeout_s: float = Field(20, gt=0, description="an image that takes longer is refused")
    batch: int = Field(100, ge=1, description="messages that are prepared at once and settled together")
    batch_bytes: int = Field(
        32 << 20, ge=1, description="of those messages, as they were sent; a larger one goes alone"
    )
    hold_messages: int = Field(
        100_000, ge=1, description="later messages of the project, after which a held one expires"
    )
    check_input_s: float = Field(10, gt=0, description="how often a quiet input is looked at: is it still the same?")
    rejections_to_degrade: int = Field(20, ge=1, description="so many refused messages in a row raise `degraded`")
    parking: ParkingSettings = ParkingSettings()
    snapshot: SnapshotSettings = SnapshotSettings()

    @model_validator(mode="after")
    def _each_stream_once(self) -> Self:
        streams = [one.stream for one in self.inputs]
        if len(set(streams)) < len(streams):
            raise ValueError("each input stream stands in the list once")
        return self


class IngestSettings(ServiceSettings):
    """All settings of annotation-ingest."""

    ingest: IngestGroup
