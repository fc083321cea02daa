"""labelstream models pull: make a directory that inference can run a model from, without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import SecretStr
from rich.console import Console

from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import load_schema
from labelstream.errors import Misconfigured
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream.service.tls import trusting_at
from labelstream_cli.models.exporter_api import EXPORTER_CA, ExporterApi
from labelstream_cli.models.pulling import PulledModel, Puller
from labelstream_cli.models.trusting import Identity, Schema, read_identity
from labelstream_cli.reaching import bars, store_in_environment
from labelstream_cli.running import CommandFailed, Directory, Json, run, running_stack
from labelstream_local.secrets_store import DEVICE_IDENTITY, DEVICE_TOKEN, VERIFYING_KEY

DEFAULT = "default"
_OUTCOMES = {
    "pulled": "[green]Pulled[/]",
    "renewed": "[green]Renewed[/] the grant and promotion of",
    "known": "Nothing to do: there is",
}


@dataclass(frozen=True)
class Device:
    """As whom a model is pulled, and from where."""

    project: str
    exporter: str
    store: StoreSettings
    token: SecretStr
    identity: str = field(repr=False)
    trusted_keys: tuple[Path, ...]
    exporter_ca: Path | None = None


def pull_model(  # noqa: PLR0913 -- typer makes an option of each
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model, by at least 4 digits of its id, or `serving`.", show_default=False
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The directory to bring it to.", show_default=False)],
    *,
    project: Annotated[
        str | None,
        typer.Option(help="Whose model. Default: the stack's only project, or `default`.", show_default=False),
    ] = None,
    exporter: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another exporter's API. The object store is then read from LABELSTREAM_STORE__ENDPOINT_URL, "
            "LABELSTREAM_STORE__ACCESS_KEY and LABELSTREAM_STORE__SECRET_KEY_FILE; to read the model bucket will do.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The device's token. Default: that of the stack's own device.")
    ] = None,
    exporter_ca: Annotated[
        Path | None, typer.Option(EXPORTER_CA, metavar="FILE", help="CA file (PEM) of an https exporter.")
    ] = None,
    identity: Identity = None,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="PUB", help="A public signing key (PEM) that is trusted; several may stand."),
    ] = None,
    class_schema: Schema = None,
    wait: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Wait at most so long for the grant.")] = 120,
    directory: Directory = Path(".labelstream"),
    as_json: Json = False,
) -> None:
    """Make a directory from which inference runs a model without a network.

    The parts of the bundle come from the model bucket and the device's grant from the exporter; they are put together,
    verified and opened once to see that they open, and only then moved to DIR. Neither weights nor a private key are
    written there in the clear. On the machine of a stack, it is the stack's own device that pulls.

    - `labelstream models pull serving --to edge/`
    - `labelstream models pull 3fa9 --to edge/ --exporter https://models.example --token-file kiosk-7.token --identity
      kiosk-7.age-identity --key signing-key.pub.pem`
    """
    console = Console(highlight=False)

    async def inside() -> PulledModel:
        device = (
            _of_stack(directory, project, token_file, identity, key)
            if exporter is None
            else replace(_told(exporter, project, token_file, identity, key or []), exporter_ca=exporter_ca)
        )
        async with _reached(device, wait) as (api, models):
            with bars(quiet=as_json) as tell:
                classes = load_schema(class_schema) if class_schema else None
                puller = Puller(api, models, device.trusted_keys, device.identity, classes, tell)
                return await puller.pull(model, to)

    pulled = run(inside())
    if as_json:
        typer.echo(json.dumps(pulled.as_json(), indent=2, ensure_ascii=False))
    else:
        _show(pulled, console)


@asynccontextmanager
async def _reached(device: Device, wait_s: float) -> AsyncIterator[tuple[ExporterApi, S3Blobs]]:
    store = S3Blobs(device.store, device.store.model_bucket, Health())
    try:
        verify = trusting_at(device.exporter, device.exporter_ca, EXPORTER_CA) or True
        async with httpx.AsyncClient(base_url=device.exporter, verify=verify, timeout=60) as client:
            yield ExporterApi(client, device.token, device.project, wait_s), store
    finally:
        await store.close()


def _of_stack(
    directory: Path, project: str | None, token_file: Path | None, identity: Path | None, keys: list[Path] | None
) -> Device:
    """Return the device of a running stack. Raises CommandFailed, Misconfigured."""
    try:
        stack = running_stack(directory)
    except CommandFailed as error:
        raise CommandFailed(f"{error}\nAnother exporter is named with --exporter.") from error
    projects = stack.record.projects
    return Device(
        project or (projects[0] if len(projects) == 1 else DEFAULT),
        stack.url("exporter-serve"),
        stack.store,
        SecretStr(_token_in(token_file or stack.secrets.path(DEVICE_TOKEN))),
        read_identity(identity or stack.secrets.path(DEVICE_IDENTITY)),
        tuple(keys or [stack.secrets.path(VERIFYING_KEY)]),
    )


def _told(
    exporter: str, project: str | None, token_file: Path | None, identity: Path | None, keys: list[Path]
) -> Device:
    """Return the device that a person describes. Raises Misconfigured."""
    if token_file is None or identity is None or not keys:
        raise Misconfigured(
            "--exporter needs --token-file and --identity of this device, and the trusted --key of the models"
        )
    return Device(
        project or DEFAULT,
        exporter,
        store_in_environment("--exporter"),
        SecretStr(_token_in(token_file)),
        read_identity(identity),
        tuple(keys),
    )


def _token_in(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the token file {file} can't be read: {error}") from error


def _show(pulled: PulledModel, console: Console) -> None:
    manifest = pulled.manifest
    promoted = f"promotion {pulled.promotion}" if pulled.promotion is not None else "never promoted"
    names = ", ".join(each.name for each in manifest.artifacts)
    console.print(
        f"{_OUTCOMES[pulled.outcome]} model {manifest.model} of {manifest.project} ({promoted}; {names}) "
        f"in {pulled.directory}",
        soft_wrap=True,
    )
    console.print("Check it at any time: labelstream models verify DIR --key PUB --identity FILE", style="dim")
