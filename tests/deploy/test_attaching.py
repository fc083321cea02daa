"""A compose project as a stack, told by a double of Docker; the programs behind its ports are not asked."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labelstream_cli.main import app
from labelstream_local.compose import attached
from labelstream_local.containers import Containers, DockerCommand
from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.record import Record, settle_ports
from labelstream_local.rights import Served
from labelstream_local.services import NAMES
from labelstream_local.stack import Stack, load, up
from labelstream_local.status import addresses_of, status_of
from labelstream_local.workloads import make

PORTS = {"rabbitmq": {5552: 15552, 5672: 15672}, "seaweedfs": {8333: 18333}, "inference": {8080: 18080}}


@dataclass
class DockerTold:
    """Tells of containers that it was told of, as `docker inspect` does."""

    containers: list[dict[str, Any]] = field(default_factory=list)

    def inspect(self, project: str) -> list[dict[str, Any]]:
        """Return those of the project."""
        return [one for one in self.containers if one["Config"]["Labels"]["com.docker.compose.project"] == project]


def container(
    service: str, *, status: str = "running", health: str | None = "healthy", address: str = "127.0.0.1", **labels: str
) -> dict[str, Any]:
    bound = {
        f"{inside}/tcp": [{"HostIp": address, "HostPort": str(port)}] for inside, port in PORTS.get(service, {}).items()
    }
    state: dict[str, Any] = {"Status": status, "StartedAt": "2026-11-21T20:00:00.123456789Z"}
    if health:
        state["Health"] = {"Status": health}
    return {
        "Config": {
            "Labels": {"com.docker.compose.project": "labelstream", "com.docker.compose.service": service, **labels},
            "Env": ["PATH=/bin", 'LABELSTREAM_PROJECTS=["demo", "harbour"]'],
        },
        "State": state,
        "NetworkSettings": {
            "Ports": {"9999/tcp": None, **bound},
            "Networks": {"labelstream_front": {"IPAddress": "10.1.0.9"}, "labelstream_back": {"IPAddress": "10.0.0.9"}},
        },
    }


def project(*, without: str = "") -> DockerTold:
    names = ("rabbitmq", "seaweedfs", "mlflow", *NAMES)
    return DockerTold([container(name) for name in names if name not in (without, "inference-annotate")])


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make(tmp_path / "deployed", Served(("demo", "harbour")))
    return tmp_path / "deployed"


def test_every_command_finds_a_compose_project_where_it_finds_a_stack(tmp_path: Path, secrets: Path) -> None:
    attached(tmp_path / "kept", secrets, docker=project())
    stack = load(tmp_path / "kept")
    assert stack.record.projects == ("demo", "harbour")
    assert (stack.broker.stream_port, stack.broker.amqp_port, stack.broker.username) == (15552, 15672, "operator")
    assert stack.broker.password.get_secret_value() == (secrets / "broker-operator").read_text().strip()
    assert stack.store.endpoint_url == "http://127.0.0.1:18333"
    assert stack.store.secret_key.get_secret_value() == (secrets / "store-operator").read_text().strip()
    assert stack.url("inference") == "http://127.0.0.1:18080"
    assert stack.services == tuple(name for name in NAMES if name != "inference-annotate")


async def test_a_compose_project_runs_though_its_processes_have_no_ids_here(
    tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = attached(tmp_path / "kept", secrets, docker=project())
    monkeypatch.setattr(Stack, "supervisor", property(lambda stack: Containers(stack.layout, "labelstream", project())))
    assert (await status_of(stack)).running


def test_what_is_not_published_is_asked_inside_the_networks(tmp_path: Path, secrets: Path) -> None:
    stack = attached(tmp_path / "kept", secrets, docker=project())
    assert stack.url("trainer") == "http://10.0.0.9:8080"


def test_attaching_again_takes_what_changed(tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attached(tmp_path / "kept", secrets, docker=project())
    monkeypatch.setitem(PORTS, "inference", {8080: 28080})
    attached(tmp_path / "kept", secrets, docker=project())
    assert load(tmp_path / "kept").url("inference") == "http://127.0.0.1:28080"


def test_other_secrets_are_not_taken_for_those_of_the_project(tmp_path: Path, secrets: Path) -> None:
    (tmp_path / "kept" / "secrets").mkdir(parents=True)
    with pytest.raises(StartFailed, match="holds other secrets than"):
        attached(tmp_path / "kept", secrets, docker=project())


def test_a_project_that_is_not_there_is_said_with_what_starts_it(tmp_path: Path, secrets: Path) -> None:
    with pytest.raises(StartFailed, match=r"no compose project labelstream runs here: `docker compose up --wait`"):
        attached(tmp_path / "kept", secrets, docker=DockerTold())


def test_what_is_not_well_is_named(tmp_path: Path, secrets: Path) -> None:
    docker = project(without="trainer")
    docker.containers += [container("exporter", status="exited", health=None)]
    docker.containers = [one for one in docker.containers if one != container("exporter")]
    docker.containers = [one for one in docker.containers if one != container("inference")]
    docker.containers += [container("inference", health="unhealthy")]
    with pytest.raises(StartFailed, match=r"trainer is not there, exporter is exited, inference is unhealthy"):
        attached(tmp_path / "kept", secrets, docker=docker)


def test_of_several_replicas_one_that_is_well_counts(tmp_path: Path, secrets: Path) -> None:
    docker = project()
    docker.containers.insert(0, container("inference", health="unhealthy"))
    docker.containers.append(container("inference", status="restarting", health=None))
    assert attached(tmp_path / "kept", secrets, docker=docker).url("inference") == "http://127.0.0.1:18080"


def test_a_container_of_docker_compose_run_is_no_part_of_it(tmp_path: Path, secrets: Path) -> None:
    docker = project(without="exporter-serve")
    docker.containers.append(container("exporter-serve", **{"com.docker.compose.oneoff": "True"}))
    with pytest.raises(StartFailed, match="exporter-serve is not there"):
        attached(tmp_path / "kept", secrets, docker=docker)


def test_a_broker_that_is_published_on_another_address_is_said(tmp_path: Path, secrets: Path) -> None:
    docker = project(without="rabbitmq")
    docker.containers.append(container("rabbitmq", address="10.3.0.1"))
    with pytest.raises(StartFailed, match=r"port 5672 of rabbitmq is published on 10\.3\.0\.1 only"):
        attached(tmp_path / "kept", secrets, docker=docker)


def test_secrets_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="there is no directory"):
        attached(tmp_path / "kept", tmp_path / "none", docker=project())


def test_an_embedded_stack_is_not_taken_for_it(tmp_path: Path, secrets: Path) -> None:
    layout = Layout.at(tmp_path / "kept")
    layout.create()
    Record(ports=settle_ports(None)).write(layout)
    with pytest.raises(StartFailed, match="an embedded stack lives in"):
        attached(tmp_path / "kept", secrets, docker=project())


def test_no_embedded_stack_is_started_in_its_place(tmp_path: Path, secrets: Path) -> None:
    attached(tmp_path / "kept", secrets, docker=project())
    with pytest.raises(StartFailed, match="is for the compose project labelstream"):
        up(tmp_path / "kept")


def test_docker_says_which_programs_run(tmp_path: Path) -> None:
    docker = DockerTold([container("trainer"), container("exporter", status="restarting", health=None)])
    states = Containers(Layout.at(tmp_path), "labelstream", docker).processes()
    assert {name: state.state for name, state in states.items()} == {"trainer": "RUNNING", "exporter": "BACKOFF"}
    assert states["trainer"].started_at == 1795291200.0


def docker_program(directory: Path, script: str) -> None:
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_container_that_was_started_anew_is_asked_where_it_is_now(
    tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached(tmp_path / "kept", secrets, docker=project())
    moved, gone = container("trainer"), container("exporter", status="exited", health=None)
    moved["NetworkSettings"]["Networks"]["labelstream_back"]["IPAddress"] = "10.0.0.23"
    gone["NetworkSettings"]["Networks"] = {"labelstream_back": {"IPAddress": ""}}
    told = tmp_path / "told.json"
    told.write_text(json.dumps([moved, gone]))
    docker_program(tmp_path, f'case "$1" in ps) echo one two;; inspect) cat {told};; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    asked = addresses_of(load(tmp_path / "kept"))
    assert asked["trainer"] == "http://10.0.0.23:8080"
    assert asked["exporter"] == "http://127.0.0.1:0"  # nobody's; what it had may be another's by now
    assert asked["inference"] == "http://127.0.0.1:18080"
    docker_program(tmp_path, "exit 1")
    assert addresses_of(load(tmp_path / "kept"))["trainer"] == "http://10.0.0.9:8080"


def test_the_program_docker_is_asked_for_the_containers_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    told.write_text(json.dumps([container("trainer")]))
    docker_program(tmp_path, f'case "$*" in *project=harbour*) echo one two;; "inspect one two") cat {told};; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert DockerCommand().inspect("harbour") == [container("trainer")]
    assert DockerCommand().inspect("another") == []


def test_a_docker_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_program(tmp_path, "echo 'permission denied' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(StartFailed, match="`docker ps` failed: permission denied"):
        DockerCommand().inspect("labelstream")


def test_commands_say_that_docker_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for command in (["attach"], ["demo", "--against", "compose"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1
        assert "there is no program `docker` here" in done.stderr


def test_the_demonstration_says_that_a_project_does_not_serve_it(
    tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = project()
    for one in docker.containers:
        one["Config"]["Env"] = ['LABELSTREAM_PROJECTS=["default"]']
    told = tmp_path / "told.json"
    told.write_text(json.dumps(docker.containers))
    docker_program(tmp_path, f'case "$1" in ps) echo one;; inspect) cat {told};; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "secrets").symlink_to(secrets)
    done = CliRunner().invoke(app, ["demo", "--against", "compose"])
    assert done.exit_code == 1
    assert "the compose project serves default and not demo" in done.stderr.replace("\n", " ")
