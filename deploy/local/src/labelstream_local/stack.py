"""The embedded stack: RabbitMQ, SeaweedFS and the services on this machine, under one directory."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path

from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream_local.containers import Containers
from labelstream_local.layout import Layout
from labelstream_local.mlflow import MLFLOW, MlflowServer
from labelstream_local.own_streams import create_streams
from labelstream_local.process import StartFailed, marked_processes, stop_marked
from labelstream_local.prometheus import PROMETHEUS, PrometheusServer, targets_of
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.record import Record, merged, settle_ports, versions, with_pids
from labelstream_local.reports import ask
from labelstream_local.rights import Served
from labelstream_local.seaweedfs import WeedServer, remove_sockets
from labelstream_local.secrets_store import MLFLOW_PASSWORD, SecretStore
from labelstream_local.services import BY_NAME, NAMES, ON_REQUEST, SERVERS, Context, command_of, told_inputs
from labelstream_local.starting import Check, Progress, start_programs, stop_programs
from labelstream_local.supervisor import Program, Supervisor


@dataclass(frozen=True)
class Options:
    """What a person may choose about a stack."""

    services: tuple[str, ...] = NAMES
    servers: tuple[str, ...] = SERVERS  # fewer only where no service needs the other
    mlflow: bool = False  # an MLflow server too, and the trainer mirrors to it
    observability: bool = False  # a Prometheus too, which watches everything
    patience: float = 1.0  # share of each alert's `for` after which it fires there
    projects: tuple[str, ...] = ("default",)
    schemas: Mapping[str, str] = field(default_factory=dict)  # project → a shipped class schema, or the path of one
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # service → variables; see record.merged
    restoring: str = ""  # the command of a restore for which the servers are started
    within_s: float = 180.0  # how long each program may take to come up

    @property
    def on_request(self) -> tuple[str, ...]:
        """The servers that are wanted though no service needs them."""
        return (*([MLFLOW] if self.mlflow else []), *([PROMETHEUS] if self.observability else []))


@dataclass(frozen=True)
class Stack:
    """A stack that is or was up: where it answers, and as whom to speak to it."""

    layout: Layout
    record: Record
    secrets: SecretStore = field(repr=False)
    was_running: bool = False

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services that were started."""
        return self.record.services

    @property
    def context(self) -> Context:
        """What the table of services draws on."""
        record = self.record
        return Context(self.layout, self.secrets, record.ports, record.projects, record.schemas, record.on_request)

    @property
    def rabbitmq(self) -> RabbitServer:
        """The broker's node."""
        return RabbitServer(
            self.layout.data("rabbitmq"),
            self.record.ports.rabbitmq,
            self.secrets.broker_passwords(),
            served=Served(self.record.projects, told_inputs(self.record.told)),
            retired=self.secrets.former_users(),
        )

    @property
    def seaweedfs(self) -> WeedServer:
        """The object store's server."""
        return WeedServer(self.layout.data("seaweedfs"), self.record.ports.seaweedfs, self.secrets.store_keys())

    @property
    def mlflow(self) -> MlflowServer:
        """The MLflow server, if one was asked for."""
        return MlflowServer(self.layout.data(MLFLOW), self.record.ports.mlflow, self.secrets.read(MLFLOW_PASSWORD))

    @property
    def prometheus(self) -> PrometheusServer:
        """The Prometheus that watches the stack, if one was asked for."""
        ports = self.record.ports
        services = {name: ports.services[name] for name in self.services}
        targets = targets_of(services, ports.rabbitmq.prometheus, ports.seaweedfs.metrics)
        return PrometheusServer(self.layout.data(PROMETHEUS), targets, ports.prometheus)

    def answers(self, server: str) -> bool:
        """Whether a server that was asked for answers."""
        return self.mlflow.ready() if server == MLFLOW else self.prometheus.ready()

    @property
    def broker(self) -> BrokerSettings:
        """How the operator reaches the broker."""
        return self.rabbitmq.settings

    @property
    def store(self) -> StoreSettings:
        """How the operator reaches the object store."""
        return self.seaweedfs.settings

    @property
    def supervisor(self) -> Supervisor:
        """The process supervisor."""
        compose = self.record.compose
        return Containers(self.layout, compose) if compose else Supervisor(self.layout)

    def url(self, service: str) -> str:
        """Where a service answers HTTP, or a server that was asked for."""
        return self.record.elsewhere.get(service) or self.context.url(service)

    def kill(self, program: str) -> int:
        """Kill a program at once, as a crash would; return the process id that it had. Raises StartFailed."""
        process = self.supervisor.processes().get(program)
        if process is None or process.pid is None:
            raise StartFailed(f"{program} does not run")
        os.kill(process.pid, signal.SIGKILL)
        return process.pid


_STOPS = ("STOPPED", "STOPPING")  # states of programs that are there only while a stack is stopped, or was half stopped


def _silent(_what: str, _state: str) -> None:
    """Tell nobody."""


def up(directory: Path, options: Options = Options(), progress: Progress = _silent) -> Stack:
    """Start a stack, or find it running; return when everything answers.

    Raises StartFailed with the end of the log of what did not come up; nothing is left running then.
    """
    layout = Layout.at(directory)
    _refuse_compose(layout)
    layout.create()
    with _alone(layout):
        _refuse_half_restored(layout, options)
        running = _running(layout)
        if running is not None:
            return _joined(running, options)
        _stopped(layout)  # what a killed supervisor left behind, or a `down` that was interrupted
        try:
            return _started(layout, options, progress)
        except BaseException:
            _stopped(layout)
            raise


def down(directory: Path) -> int:
    """Stop everything that belongs to a stack; return how many processes there were."""
    layout = Layout.at(directory)
    if not layout.root.exists():
        return 0
    with _alone(layout):
        return _stopped(layout)


def load(directory: Path) -> Stack:
    """Return a stack that came up before, whether it runs now or not. Raises StartFailed when there is none."""
    layout = Layout.at(directory)
    record = Record.read(layout)
    if record is None:
        raise StartFailed(f"there is no stack in {directory}: `labelstream up` starts one")
    return Stack(layout, record, _secrets(layout, record))


def note_restore(directory: Path, command: str) -> None:
    """Keep services from starting until a restore is done that `command` goes on with; empty: it is done."""
    layout = Layout.at(directory)
    record = Record.read(layout)
    if record is not None:
        replace(record, restoring=command).write(layout)


def projects_of(directory: Path) -> tuple[str, ...]:
    """Return the projects of a stack that came up before; the usual one where there is none."""
    record = Record.read(Layout.at(directory))
    return record.projects if record else Options.projects


def requested_before(directory: Path) -> tuple[str, ...]:
    """Return the servers that were asked for when a stack was started last."""
    record = Record.read(Layout.at(directory))
    return record.on_request if record else ()


def _refuse_compose(layout: Layout) -> None:
    record = Record.read(layout)
    if record is not None and record.compose:
        raise StartFailed(f"{layout.root} is for the compose project {record.compose}: `docker compose up` starts that")


def _refuse_half_restored(layout: Layout, options: Options) -> None:
    record = Record.read(layout)
    if record is not None and record.restoring and options.services:
        raise StartFailed(
            f"a restore into {layout.root} was begun and not finished: `{record.restoring}` goes on with it. "
            "To begin with nothing instead, remove that directory"
        )


def _running(layout: Layout) -> Stack | None:
    record = Record.read(layout)
    if record is None or Supervisor(layout).pid is None:
        return None
    stack = Stack(layout, record, _secrets(layout, record), was_running=True)
    half_stopped = any(state.state in _STOPS for state in stack.supervisor.processes().values())
    return None if half_stopped else stack


def _secrets(layout: Layout, record: Record) -> SecretStore:
    """Return a stack's secrets; those of a compose project are made by `labelstream secrets make` alone.

    (A broker that runs does not know what is made now, and compose would no longer say that something is missing.)
    """
    return SecretStore(layout.secrets) if record.compose else SecretStore.of(layout)


def _joined(stack: Stack, options: Options) -> Stack:
    missing = {*options.services, *options.on_request} - {*stack.services, *stack.record.on_request}
    foreign = set(options.projects) - set(stack.record.projects)
    changed = {p for p, schema in options.schemas.items() if stack.record.schemas.get(p) != schema}
    if foreign or changed or merged(stack.record.told, options.told) != stack.record.told:
        raise StartFailed(
            f"a stack for {', '.join(stack.record.projects)} runs here, started with other projects, class schemas or "
            "settings: `labelstream down` stops it"
        )
    if missing:
        raise StartFailed(f"a stack without {', '.join(sorted(missing))} runs here: `labelstream down` stops it")
    return stack


def _started(layout: Layout, options: Options, progress: Progress) -> Stack:
    known = Record.read(layout)
    record = Record(
        ports=settle_ports(known.ports if known else None),
        projects=options.projects,
        schemas={**(known.schemas if known else {}), **options.schemas},
        told=merged(known.told if known else {}, options.told),
        services=options.services,
        on_request=options.on_request,
        versions=versions(),
        restoring=options.restoring or (known.restoring if known else ""),
    )
    stack = Stack(layout, record, SecretStore.of(layout))
    record.write(layout)
    stack.supervisor.configure(_programs(stack, options))
    stack.supervisor.start()
    try:
        start_programs(stack.supervisor, layout, _checks(stack, options), progress, options.within_s)
    except StartFailed:
        if not record.restoring:
            replace(record, told=known.told if known else {}).write(layout)  # a wrong setting would stay otherwise
        raise
    pids = {state.name: state.pid for state in stack.supervisor.processes().values() if state.pid is not None}
    supervisor = stack.supervisor.pid
    record = with_pids(record, pids if supervisor is None else {"supervisord": supervisor, **pids})
    record.write(layout)
    return Stack(layout, record, stack.secrets)


def _programs(stack: Stack, options: Options) -> Iterator[Program]:
    if "rabbitmq" in options.servers:
        epmd, node = stack.rabbitmq.prepare()
        yield Program(epmd, 1, autostart=True)
        yield Program(node, 10, autostart=True)
    if "seaweedfs" in options.servers:
        yield Program(stack.seaweedfs.prepare(), 10, autostart=True, writes_its_log=True)
    if options.mlflow:
        yield Program(stack.mlflow.prepare(), 10, autostart=True)
    if options.observability:
        yield Program(replace(stack.prometheus, patience=options.patience).prepare(), 10, autostart=True)
    for name in options.services:
        stack.layout.state(name).mkdir(parents=True, exist_ok=True)
        command = command_of(BY_NAME[name], stack.context, stack.record.told.get(name, {}))
        yield Program(command, 100, autostart=False)  # once the buckets exist


def _checks(stack: Stack, options: Options) -> tuple[Sequence[Check], ...]:
    ready: dict[str, Callable[[], bool]] = {
        "rabbitmq": partial(_broker_ready, stack, options),
        "seaweedfs": stack.seaweedfs.ready,
    }
    needed = tuple(Check(name, ready[name]) for name in options.servers)
    servers = (*needed, *(Check(name, partial(stack.answers, name)) for name in options.on_request))
    return servers, tuple(Check(name, partial(_answers, stack, name)) for name in options.services)


def _broker_ready(stack: Stack, options: Options) -> bool:
    node = stack.rabbitmq
    return node.ready() and (not options.services or create_streams(node.settings))


def _answers(stack: Stack, service: str) -> bool:
    report = ask(stack.url(service))
    return report is not None and report.up(BY_NAME[service])


def _stopped(layout: Layout) -> int:
    count = len(marked_processes(layout.mark))
    supervisor, record = Supervisor(layout), Record.read(layout)
    with suppress(OSError, HTTPException):  # supervisord is away; what it left is stopped below
        stop_programs(supervisor, (record.services if record else (), (*SERVERS, *ON_REQUEST)))
    stop_marked(layout.mark)
    layout.supervisor_socket.unlink(missing_ok=True)
    if record is not None:
        remove_sockets(vars(record.ports.seaweedfs).values())
        with_pids(record, {}).write(layout)
    return count


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    with layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
