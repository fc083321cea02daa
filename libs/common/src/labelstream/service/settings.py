"""Settings that every service shares, read from the environment; a secret never has a default.

`LABELSTREAM_BROKER__HOST=…` sets `broker.host`; a secret may come from a file:
`LABELSTREAM_BROKER__PASSWORD_FILE=/run/secrets/broker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from labelstream.errors import Misconfigured


class Settings(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BrokerSettings(Settings):
    """Where RabbitMQ is and who we are there."""

    host: str = "127.0.0.1"
    stream_port: int = 5552
    amqp_port: int = 5672
    vhost: str = "/"
    username: str
    password: SecretStr
    heartbeat_s: int = Field(20, description="two missed heartbeats count as a lost connection")
    tls_ca: Path | None = Field(None, description="CA file; set it to speak TLS")


class StoreSettings(Settings):
    """Where the S3 store is and who we are there."""

    endpoint_url: str
    region: str = "us-east-1"
    access_key: str
    secret_key: SecretStr
    data_bucket: str = "labelstream-data"
    model_bucket: str = "labelstream-models"
    resources_bucket: str = "labelstream-resources"
    uploads_bucket: str = Field("labelstream-uploads", description="what people upload through the exporter's API")
    incoming_bucket: str = Field("labelstream-incoming", description="where producers put the images they refer to")
    checksums: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="boto3's request_checksum_calculation and response_checksum_validation"
    )
    threads: int = Field(8, description="requests in flight at once")
    tls_ca: Path | None = Field(None, description="CA file of an https store; else the CAs that this machine knows")


class TracingSettings(Settings):
    """Where traces go, if anywhere."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+",
        description="an OpenTelemetry collector, such as http://collector:4318/v1/traces; left out: nothing is traced",
    )
    sample: float = Field(1.0, ge=0, le=1, description="share of the traces that are told; the same for all programs")
    headers: SecretStr | None = Field(None, description="`name: value` lines for the collector; best by …_FILE")


class EnvironmentAndFiles(EnvSettingsSource):
    """The environment, with what `…_FILE` variables name put in their place.

    What a file holds never enters the real environment, where child processes would find it.
    """

    def __init__(self, kind: type[BaseSettings]) -> None:
        super().__init__(kind)
        self.env_vars = dict(self._resolved(str(kind.model_config.get("env_prefix", "")).lower()))

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return a list or a table that is written as JSON; else the text, which its own type may know: `70/20/10`."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value

    def _resolved(self, prefix: str) -> Iterator[tuple[str, str | None]]:
        for name, value in self.env_vars.items():
            plain = name.removesuffix("_file")
            if plain == name or not name.startswith(prefix) or value is None:
                yield name, value
                continue
            try:
                yield plain, Path(value).read_text().strip()
            except OSError as error:
                raise Misconfigured(f"{name.upper()}={value} can't be read: {error.strerror}") from error


class Environment(BaseSettings):
    """What the variables `LABELSTREAM_…` say, and the files that they name."""

    model_config = SettingsConfigDict(env_prefix="LABELSTREAM_", env_nested_delimiter="__", frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings calls it by these names
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the caller gave, the environment and the files that it names, and nothing else."""
        return init_settings, EnvironmentAndFiles(settings_cls)


class ServiceSettings(Environment):
    """What every service is told."""

    broker: BrokerSettings
    store: StoreSettings
    projects: tuple[str, ...] = ("default",)
    state_dir: Path = Field(Path("state"), description="views and working files; can be thrown away")
    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, description="/healthz, /readyz, /metrics, and the service's API if it has one")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tracing: TracingSettings = TracingSettings()


S = TypeVar("S", bound=BaseSettings)
_WRITTEN_AS_JSON = ("tuple_type", "list_type", "dict_type", "mapping_type", "model_type", "set_type")


def read_settings(kind: type[S], **given: Any) -> S:
    """Read the settings from the environment, and those that `…_FILE` variables name from their files.

    What is `given`, by a command line perhaps, comes before both; of a group, the rest still comes from them.
    Raises Misconfigured with one line for each variable that is missing or wrong; values are not shown.
    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    try:
        return kind(**given)
    except ValidationError as error:
        problems = (f"{prefix}{'__'.join(map(str, e['loc'])).upper()}: {_said(e)}" for e in error.errors())
        raise Misconfigured("settings are missing or wrong:\n  " + "\n  ".join(problems)) from error


def _said(error: ErrorDetails) -> str:
    return f"{error['msg']}; write it as JSON" if error["type"] in _WRITTEN_AS_JSON else error["msg"]
