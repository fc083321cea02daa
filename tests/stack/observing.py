"""What an outsider sees of a stack's processes: sockets, command lines, files."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psutil
from botocore.exceptions import ClientError

from labelstream.service.settings import StoreSettings
from labelstream_local.process import marked_processes
from labelstream_local.stack import Stack

T = TypeVar("T")

LOOPBACK = {"127.0.0.1", "::1"}


def processes_of(stack: Stack) -> list[psutil.Process]:
    return marked_processes(stack.layout.mark)


def listening_addresses(stack: Stack) -> dict[str, set[str]]:
    """Program → the addresses on which it accepts TCP connections."""
    seen: dict[str, set[str]] = {}
    for name, connections in of_each(stack, lambda process: (process.name(), listeners(process))):
        seen.setdefault(name, set()).update(connection.laddr.ip for connection in connections)
    return {name: addresses for name, addresses in seen.items() if addresses}


def of_each(stack: Stack, look: Callable[[psutil.Process], T]) -> Iterator[T]:
    """Look at each process of a stack that does not end meanwhile, as the helpers of a server do."""
    for process in processes_of(stack):
        with suppress(psutil.NoSuchProcess):
            yield look(process)


def listeners(process: psutil.Process) -> list[Any]:
    return [each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]


def secrets_of(stack: Stack) -> list[str]:
    """Every secret of a stack, and those that the servers' own configuration holds."""
    private = [path for path in stack.layout.secrets.iterdir() if not path.name.endswith((".pub.pem", "devices.json"))]
    lines = [line for path in private for line in path.read_text().split() if len(line) >= 20]
    cookie = (stack.layout.data("rabbitmq") / ".erlang.cookie").read_text()
    jwt = (stack.layout.data("seaweedfs") / "security.toml").read_text().split('"')[1::2]
    return [*lines, cookie, *jwt]


def public_text(stack: Stack) -> dict[str, str]:
    """Everything of a stack that may be shown to others: command lines, its two records, and the logs."""
    shown = dict(of_each(stack, lambda p: (f"command line of {p.pid}", " ".join(p.cmdline()))))
    files: list[Path] = [stack.layout.supervisor_config, stack.layout.record, *stack.layout.logs.iterdir()]
    return shown | {str(path): path.read_text(errors="replace") for path in files}


def client_of(settings: StoreSettings) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value(),
    )


def allowed(call: Callable[..., object], **arguments: object) -> bool:
    """Whether the store does what it is asked; a refusal is a 403, anything else is raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return False
    return True
