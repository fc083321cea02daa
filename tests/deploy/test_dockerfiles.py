"""The images, as far as they can be judged without Docker: hadolint, one skeleton, only what a service needs."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .imported import distributions, imported_by

ROOT = Path(__file__).parents[2]
SERVICES = ("annotation-ingest", "augmenter", "trainer", "exporter", "inference")
DOCKERFILES = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("deploy", "services", "tests")
        for path in (ROOT / folder).rglob("Dockerfile")
    )
)
LIBRARIES = {"labelstream-common": "common", "labelstream-datasets": "datasets", "labelstream-yolo": "yolo"}
OWN = {service: f"services/{service}" for service in SERVICES} | {
    name: f"libs/{library}" for name, library in LIBRARIES.items()
}
OURS = tuple(path for path in DOCKERFILES if not path.startswith("tests/"))
# What a service adds to the command `labelstream`, where that is installed beside it: in no image.
OF_THE_COMMAND_LINE = {"typer", "rich", "labelstream_local"}
EXTRAS = {"exporter": ("work",), "inference": ("cpu",)}  # of the CPU images


def dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text()


def instructions(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [line for line in joined.splitlines() if line.strip()]


def last_stage(text: str) -> list[str]:
    lines = instructions(text)
    return lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]


def project(path: str) -> dict[str, object]:
    return tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]


def needed(names: Iterable[str]) -> set[str]:
    """Return everything that packages ask for, as those that are installed here say."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    asked: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) in asked:
            continue
        asked.add((name, extras))
        found.add(name)
        for text in installed_requirements(name):
            behind = Requirement(text)
            chosen = {"", *extras}
            if behind.marker is None or any(behind.marker.evaluate({"extra": extra}) for extra in chosen):
                waiting.append(behind)
    return found


def installed_requirements(name: str) -> list[str]:
    if name in OWN:  # as it says now, and not when it was installed
        told = tomllib.loads((ROOT / OWN[name] / "pyproject.toml").read_text())["project"]
        more = told.get("optional-dependencies", {}).items()
        return [*told["dependencies"], *(f"{one}; extra == '{extra}'" for extra, wanted in more for one in wanted)]
    try:
        return requires(name) or []
    except ModuleNotFoundError:  # left out by overrides.txt
        return []


def of_image(service: str) -> set[str]:
    return needed([f"{service}[{','.join(EXTRAS.get(service, ()))}]"])


@pytest.mark.parametrize("path", DOCKERFILES)
def test_hadolint_has_nothing_to_say(path: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_there_is_a_dockerfile_for_each_service_and_server_that_we_build() -> None:
    built = {f"services/{service}/Dockerfile" for service in SERVICES}
    assert {*built, "deploy/compose/mlflow/Dockerfile", "deploy/compose/seaweedfs/Dockerfile"} == set(OURS)


@pytest.mark.parametrize("path", OURS)
def test_what_runs_is_no_root_and_has_no_tool_to_build_with(path: str) -> None:
    stage = last_stage((ROOT / path).read_text())
    assert "USER 10001:10001" in stage
    assert "STOPSIGNAL SIGTERM" in stage
    assert any(line.startswith("HEALTHCHECK ") for line in stage)
    assert not any(re.search(r"pip install|apt-get|uv |gcc|curl|git ", line) for line in stage)


@pytest.mark.parametrize("path", DOCKERFILES)
def test_no_dockerfile_holds_a_secret_or_asks_for_another_frontend(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "syntax=" not in text
    told = [line for line in instructions(text) if line.startswith(("ARG ", "ENV "))]
    assert not [line for line in told if re.search(r"password|token|secret|_key", line, re.IGNORECASE)]


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_ends_with_the_same_lines(service: str) -> None:
    package = service.replace("-", "_")
    first = last_stage(dockerfile("annotation-ingest"))
    ours = last_stage(dockerfile(service))
    said = str(project(f"services/{service}")["description"])
    assert [generic(line, service, package, said) for line in ours] == [
        generic(
            line, "annotation-ingest", "annotation_ingest", str(project("services/annotation-ingest")["description"])
        )
        for line in first
    ]


def generic(line: str, service: str, package: str, description: str) -> str:
    line = line.replace("NO_ALBUMENTATIONS_UPDATE=1 ", "")
    return line.replace(description, "D").replace(f'"{package}"]', "P").replace(f"labelstream/{service}", "N")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_entered_at_its_service_and_says_its_version(service: str) -> None:
    stage = last_stage(dockerfile(service))
    package = service.replace("-", "_")
    assert stage[-1] == f'ENTRYPOINT ["python", "-m", "{package}"]'
    assert (ROOT / "services" / service / "src" / package / "__main__.py").exists()
    assert f"ARG VERSION={project(f'services/{service}')['version']}" in stage


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_given_our_libraries_that_its_service_names_and_no_other(service: str) -> None:
    libraries = {LIBRARIES[name] for name in of_image(service) & set(LIBRARIES)}
    text = dockerfile(service)
    assert set(re.findall(r"^COPY libs/(\w+) libs/", text, re.MULTILINE)) == libraries
    assert set(re.findall(r"^COPY libs/(\w+)/pyproject.toml", text, re.MULTILINE)) == libraries
    for line in (line for line in instructions(text) if "install-service" in line and line.startswith("RUN")):
        assert set(re.findall(r"\./libs/(\w+)", line)) == libraries
        assert set(re.findall(r"\./services/([\w-]+)", line)) == {service}


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_can_send_its_traces(service: str) -> None:
    installed = [line for line in instructions(dockerfile(service)) if "install-service third-party" in line]
    assert installed
    assert all("'./libs/common[tracing]'" in line for line in installed)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_what_the_code_in_it_imports(service: str) -> None:
    has = of_image(service) | needed(["labelstream-common[tracing]"])
    imported = imported_by(service.replace("-", "_"))
    assert imported
    assert {package: by for package, by in imported.items() if not distributions(package) & has} == {
        package: by for package, by in imported.items() if package in OF_THE_COMMAND_LINE
    }


@pytest.mark.parametrize(
    ("service", "unwanted"),
    [
        ("annotation-ingest", {"torch", "ultralytics", "opencv-python-headless", "aio-pika"}),
        ("augmenter", {"torch", "ultralytics", "onnxruntime"}),
        ("inference", {"torch", "ultralytics", "onnxruntime-gpu"}),
        ("exporter", {"albumentations", "mlflow"}),
        ("trainer", {"albumentations", "mlflow", "fastapi"}),
    ],
    ids=(*SERVICES[:2], "inference", "exporter", "trainer"),
)
def test_an_image_lacks_what_its_service_does_not_need(service: str, unwanted: set[str]) -> None:
    assert not of_image(service) & unwanted


def test_the_gpu_images_take_what_the_services_name_for_a_gpu() -> None:
    def lines(service: str) -> list[str]:
        text = dockerfile(service)
        return instructions(text[text.index("AS needed-gpu") : text.index("FROM needed-$")])

    assert any("./services/inference[gpu,tensorrt]" in line for line in lines("inference"))
    assert any("./services/exporter[work,tensorrt]" in line for line in lines("exporter"))
    assert not any("TORCH_BACKEND" in line for service in ("trainer", "exporter") for line in lines(service))
    assert {"gpu", "tensorrt"} <= set(project("services/inference")["optional-dependencies"])  # type: ignore[arg-type]
    assert "tensorrt" in project("services/exporter")["optional-dependencies"]  # type: ignore[operator]


def test_an_image_is_built_from_named_files_alone() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for path in OURS:
        copied = [
            line.split()[1:-1] for line in instructions((ROOT / path).read_text()) if re.match(r"COPY (?!--from)", line)
        ]
        for source in (one for sources in copied for one in sources):
            assert let_in(source, rules), f"{path} copies {source}, which .dockerignore leaves out"
    for source in (
        ".env",
        ".git/config",
        ".labelstream/stack.json",
        "deploy/secrets/signing-key.pem",
        "data/photo.jpg",
    ):
        assert not let_in(source, rules)
    for project in ("libs/common", "services/trainer"):
        assert let_in(f"{project}/src/one.py", rules)
        for name in ("tests/test_one.py", ".env", "secrets/key.pem", "src/__pycache__/one.pyc"):
            assert not let_in(f"{project}/{name}", rules)


def let_in(source: str, rules: list[str]) -> bool:
    """Judge as an engine before 23 does: the last rule that matches a path, or one that it lies in, decides."""
    parts = source.split("/")
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    chosen = True
    for rule in rules:
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, one) for one in above):
            chosen = rule.startswith("!")
    # A directory that is left out is not looked into, unless a rule names what lies in it letter by letter.
    named = any(rule.startswith(f"!{parts[0]}/") for rule in rules)
    return chosen and (len(parts) == 1 or named or let_in(parts[0], rules))
