"""`labelstream secrets`: files that are made once, and commands that hand them to Kubernetes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from labelstream_cli.main import app
from labelstream_local.secrets_store import SecretStore
from labelstream_local.workloads import FOR_PEOPLE, NEEDS


def typed(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["secrets", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def rights_of(directory: Path, user: str) -> dict[str, str]:
    told = json.loads((directory / "rabbitmq-definitions.json").read_text())
    return next(one for one in told["permissions"] if one["user"] == user)


def test_everything_that_a_workload_or_a_person_needs_is_made(into: Path) -> None:
    made = json.loads(typed("make", "--into", into, "--json").stdout)
    assert {*FOR_PEOPLE, *(name for names in NEEDS.values() for name in names)} <= set(contents(into))
    assert set(made["generated"]) | set(made["written"]) == set(contents(into))
    assert made["projects"] == ["default"]
    assert made["inputs"] == ["annotations"]


def test_nobody_but_the_owner_enters_the_directory_in_which_containers_find_files_that_they_can_read(
    into: Path,
) -> None:
    typed("make", "--into", into)
    assert into.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in into.iterdir()} == {0o644}


def test_what_is_there_stays(into: Path) -> None:
    typed("make", "--into", into)
    before = contents(into)
    made = json.loads(typed("make", "--into", into, "--json").stdout)
    assert contents(into) == before
    assert (made["generated"], made["written"], made["kept"]) == ([], [], len(before))


def test_who_was_ended_in_the_middle_is_gone_on_with(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_: SecretStore) -> tuple[str, ...]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SecretStore, "generate", ended)
        assert "No space left" in said(typed("make", "--into", into, "--project", "harbour", code=1))
    made = json.loads(typed("make", "--into", into, "--json").stdout)
    assert made["projects"] == ["harbour"]
    assert "rabbitmq-definitions.json" in made["written"]


def test_what_went_missing_is_made_again_and_what_is_made_of_it_follows(into: Path) -> None:
    typed("make", "--into", into)
    before = contents(into)
    (into / "broker-trainer").unlink()
    made = json.loads(typed("make", "--into", into, "--json").stdout)
    assert (made["generated"], made["written"]) == (["broker-trainer"], ["rabbitmq-definitions.json"])
    changed = {name for name, data in contents(into).items() if data != before[name]}
    assert changed == {"broker-trainer", "rabbitmq-definitions.json"}


def test_projects_are_remembered_and_one_more_takes_no_rights_away(into: Path) -> None:
    typed("make", "--into", into, "--project", "default", "--input", "drones")
    assert rights_of(into, "producer")["write"] == r"^(annotations|drones)$"
    typed("make", "--into", into)
    assert rights_of(into, "producer")["write"] == r"^(annotations|drones)$"
    typed("make", "--into", into, "--project", "harbour")
    assert rights_of(into, "producer")["write"] == r"^(annotations|annotations\.harbour|drones)$"


def test_what_is_served_no_more_is_said(into: Path) -> None:
    typed("make", "--into", into, "--project", "default", "--project", "harbour", "--input", "drones")
    typed("make", "--into", into, "--drop", "default", "--drop", "drones")
    assert rights_of(into, "producer")["write"] == r"^(annotations\.harbour)$"
    assert "--drop roads: what is served is harbour" in said(typed("make", "--into", into, "--drop", "roads", code=1))
    assert "no project would be left" in said(typed("make", "--into", into, "--drop", "harbour", code=1))


@pytest.mark.parametrize("name", ["broker-trainer", "store-trainer", "signing-key.pem", "erlang-cookie"])
def test_an_empty_file_does_not_become_an_empty_password(into: Path, name: str) -> None:
    typed("make", "--into", into)
    (into / name).write_text("\n")
    before = contents(into)
    assert f"{name} is empty: put back what it held" in said(typed("make", "--into", into, code=1))
    assert contents(into) == before


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--project", "Harbour"), "can't be a project"),
        (("--project", "a.*"), "can't be a project"),
        (("--input", "model-events"), "can't be an input stream"),
        (("--input", ""), "can't be an input stream"),
    ],
)
def test_a_name_that_can_not_be_is_refused_before_anything_is_made(
    into: Path, options: tuple[str, ...], why: str
) -> None:
    assert why in said(typed("make", "--into", into, *options, code=2)).replace("│ ", "")
    assert not into.exists()


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    mode = tmp_path.stat().st_mode
    assert "holds something else" in said(typed("make", "--into", tmp_path, code=1))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert tmp_path.stat().st_mode == mode


def test_what_the_files_were_made_for_can_be_read_or_it_is_said(into: Path) -> None:
    typed("make", "--into", into)
    (into / "served.json").write_text("{}")
    assert "served.json can't be read" in said(typed("make", "--into", into, code=1))


def test_no_command_shows_a_secret(into: Path) -> None:
    shown = [typed(*command, "--into", into) for command in (["make"], ["make", "--json"])]
    shown += [typed(*command, "--from", into) for command in (["kubectl"], ["kubectl", "--json"])]
    secrets = [text for name in contents(into) if (text := (into / name).read_text().strip()) and "json" not in name]
    assert len(secrets) > 30
    assert [text for text in secrets for one in shown if text in one.output] == []


def test_each_workload_gets_a_secret_with_the_files_that_it_reads_alone(into: Path) -> None:
    typed("make", "--into", into)
    lines = typed("kubectl", "--from", into, "--namespace", "vision").stdout.splitlines()
    assert len(lines) == len(NEEDS)
    for workload, line in zip(NEEDS, lines, strict=True):
        words = shlex.split(line)
        assert words[:7] == ["kubectl", "--namespace", "vision", "create", "secret", "generic", workload]
        given = [word.removeprefix("--from-file=").split("=") for word in words if word.startswith("--from-file=")]
        assert [name for name, _ in given] == list(NEEDS[workload])
        assert all(Path(path).read_bytes() for _, path in given)
        assert words[-6:] == ["|", "kubectl", "--namespace", "vision", "apply", "--filename=-"]


def test_an_api_key_goes_along_once_somebody_made_one(into: Path) -> None:
    typed("make", "--into", into)
    assert "inference-api-key" not in typed("kubectl", "--from", into).stdout
    (into / "inference-api-key").write_text("lsk_1")
    told = json.loads(typed("kubectl", "--from", into, "--json").stdout)
    assert told["secrets"]["inference-annotate"]["inference-api-key"] == str(into / "inference-api-key")
    assert "inference-api-key" not in told["secrets"]["inference"]


def test_a_file_that_is_missing_is_named_with_what_makes_it(into: Path) -> None:
    assert "`labelstream secrets make --into" in said(typed("kubectl", "--from", into, code=1))
    typed("make", "--into", into)
    (into / "jwt-key.pem").unlink()
    assert "jwt-key.pem is missing" in said(typed("kubectl", "--from", into, code=1))
    (into / "jwt-key.pem").touch()
    assert "jwt-key.pem is empty" in said(typed("kubectl", "--from", into, code=1))


def test_a_path_with_spaces_reaches_the_shell_as_one_word(tmp_path: Path) -> None:
    into = tmp_path / "in a folder"
    typed("make", "--into", into)
    line = typed("kubectl", "--from", into).stdout.splitlines()[0]
    assert f"--from-file=broker-annotation-ingest={into / 'broker-annotation-ingest'}" in shlex.split(line)


def test_a_namespace_that_can_not_be_is_refused(into: Path) -> None:
    typed("make", "--into", into)
    typed("kubectl", "--from", into, "--namespace", "x; rm -rf /", code=2)
