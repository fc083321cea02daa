"""labelstream secrets kubectl."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from labelstream_cli.running import CommandFailed, Json, failed
from labelstream_cli.secrets.making import DEFAULT_DIRECTORY
from labelstream_local.workloads import NEEDS, files_of

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # as Kubernetes names namespaces

Source = Annotated[Path, typer.Option("--from", help="Where `labelstream secrets make` put them.")]
Namespace = Annotated[str, typer.Option(metavar="NAME", help="Where the workloads run.")]


def print_kubectl(
    source: Source = DEFAULT_DIRECTORY, namespace: Namespace = "labelstream", as_json: Json = False
) -> None:
    """Print the commands that hand the secrets to Kubernetes: one Secret for each workload, with what it reads alone.

    They name files and show no secret. Run again, they replace what is there.

    Examples:
    - `labelstream secrets kubectl | sh`
    - `labelstream secrets kubectl --namespace vision | grep 'generic trainer ' | sh`
    - `labelstream secrets kubectl --json | jq .secrets.trainer`
    """
    if _LABEL.fullmatch(namespace) is None:
        raise typer.BadParameter(f"{namespace!r} can't be a namespace: small letters, digits and hyphens, at most 63")
    try:
        files = {workload: _files(source, workload) for workload in NEEDS}
    except CommandFailed as error:
        raise failed(error) from error
    if as_json:
        typer.echo(json.dumps({"namespace": namespace, "secrets": _by_name(files)}))
        return
    for workload, paths in files.items():
        typer.echo(_command(namespace, workload, paths))


def _files(source: Path, workload: str) -> tuple[Path, ...]:
    """Return the files of a workload. Raises CommandFailed when one is missing."""
    paths = files_of(source, workload)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        into = "" if source == DEFAULT_DIRECTORY else f" --into {shlex.quote(str(source))}"
        raise CommandFailed(f"{missing[0]} is missing: `labelstream secrets make{into}` makes it")
    empty = [path for path in paths if not path.read_bytes().strip()]
    if empty:
        raise CommandFailed(f"{empty[0]} is empty: put back what it held, or remove it to have another one generated")
    return paths


def _by_name(files: Mapping[str, Sequence[Path]]) -> dict[str, dict[str, str]]:
    return {workload: {path.name: str(path) for path in paths} for workload, paths in files.items()}


def _command(namespace: str, workload: str, paths: Sequence[Path]) -> str:
    """Return a line for a shell. `create` alone would refuse what is there, and `apply` reads no files of secrets."""
    kubectl = f"kubectl --namespace {namespace}"
    told = " ".join(shlex.quote(f"--from-file={path.name}={path}") for path in paths)
    made = f"{kubectl} create secret generic {workload} {told} --dry-run=client --output=yaml"
    return f"{made} | {kubectl} apply --filename=-"
