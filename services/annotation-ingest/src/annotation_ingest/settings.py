"""What annotation-ingest is told: `LABELSTREAM_INGEST__…`, beside the settings that every service shares."""

from __future__ import annotations

from pydantic import Field, SecretStr

from labelstream.service.settings import ServiceSettings, Settings
from labelstream.streams.ports import Retention
from labelstream.values import Project


class InputSettings(Settings):
    """An input stream, and what its producers are trusted with."""

    stream: str = "annotations"
    project: Project = "default"
    may_validate: bool = Field(True, description="whether what comes here can count as validated")
    schema_name: str = Field("example", alias="schema", description="a shipped class schema, or the path of one's own")


class ImageLimits(Settings):
    """How large an image may be."""

    max_bytes: int = Field(32 << 20, ge=1, description="of the file")
    max_pixels: int = Field(100_000_000, ge=1, description="width times height; read from the header before decoding")


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
    rejections_to_degrade: int = Field(20, ge=1, description="so many refused messages in a row raise `degraded`")
    parking: ParkingSettings = ParkingSettings()


class IngestSettings(ServiceSettings):
    """All settings of annotation-ingest."""

    ingest: IngestGroup
