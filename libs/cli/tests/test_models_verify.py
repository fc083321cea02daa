"""labelstream models verify: what a person sees of a pulled model, and what scripts read."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key
from labelstream_cli.models.verify import verify_model

from .pull_world import PullWorld


@pytest.fixture
def world(tmp_path: Path) -> PullWorld:
    """A device whose own directory holds the model in service."""

    async def prepare() -> PullWorld:
        world = PullWorld(tmp_path)
        await world.publish("m1")
        world.promote("m1", 4)
        await world.puller().pull("serving", tmp_path / "edge")
        return world

    world = asyncio.run(prepare())
    (tmp_path / "device.age-identity").write_text(f"# the device's own\n{world.identity}\n")
    return world


def verify(world: PullWorld, *told: object, root: Path | None = None) -> Result:
    app = typer.Typer()
    app.command()(verify_model)
    arguments = [root or world.directory / "edge", "--key", world.public, *told]
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def with_identity(world: PullWorld) -> tuple[object, ...]:
    return "--identity", world.directory / "device.age-identity"


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_a_good_model_is_told_check_by_check(world: PullWorld):
    result = verify(world, *with_identity(world), "--above", 3)
    assert result.exit_code == 0, result.output
    rows = re.findall(r"^(✓|–|✗) +(\S+)", result.stdout, re.MULTILINE)
    assert {name: mark for mark, name in rows} == {
        "signature": "✓",
        "manifest": "✓",
        "files": "✓",
        "classes": "–",
        "promotion": "✓",
        "grant": "✓",
        "onnx-fp32.age": "✓",
        "torchscript-fp32.age": "✓",
        "golden.age": "✓",
    }
    assert "of kiosk-7" in result.stdout
    assert world.identity not in result.output


def test_the_standard_command_that_is_shown_verifies_the_same_bundle(world: PullWorld):
    shown = next(line for line in verify(world).stdout.splitlines() if "model_signing" in line)
    command = [sys.executable, *shown.split()[1:]]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    (world.directory / "edge" / "bundle" / "report.html").write_text("better")
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode != 0


def test_the_standard_command_names_the_key_that_signed(world: PullWorld, tmp_path: Path):
    other = tmp_path / "other.pub"
    other.write_bytes(new_signing_key()[1])
    app = typer.Typer()
    app.command()(verify_model)
    told = [str(world.directory / "edge"), "--key", str(other), "--key", str(world.public)]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, told).stdout
    assert f"--public_key {world.public} " in shown
    assert str(other) not in shown
    assert json.loads(CliRunner().invoke(app, [*told, "--json"]).stdout)["key"] == str(world.public)


def test_a_changed_file_fails_with_its_rule_and_a_hint_and_nothing_further_is_believed(world: PullWorld):
    (world.directory / "edge" / "bundle" / "report.html").write_text("better")
    result = verify(world, *with_identity(world), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["ok"], told["model"]) == (False, None)
    found = checks(result)
    assert (found["signature"]["rule"], found["signature"]["hint"]) == ("signature.invalid", "Fetch it again")
    assert "report.html is not what was signed" in found["signature"]["detail"]
    assert {name: check["outcome"] for name, check in found.items() if name != "signature"} == dict.fromkeys(
        ("manifest", "files", "classes", "promotion", "grant", "contents"), "skipped"
    )
    assert "Don't use this model." in verify(world).stdout


def test_without_the_devices_key_the_rest_is_checked(world: PullWorld):
    result = verify(world, "--json")
    assert result.exit_code == 0
    outcomes = {name: check["outcome"] for name, check in checks(result).items()}
    assert outcomes["promotion"] == "passed"
    assert (outcomes["grant"], outcomes["contents"]) == ("skipped", "skipped")


@pytest.mark.parametrize(("above", "code"), [(3, 0), (4, 1), (9, 1)])
def test_a_promotion_that_is_not_above_is_stale(world: PullWorld, above: int, code: int):
    result = verify(world, "--above", above, "--json")
    assert result.exit_code == code
    assert checks(result)["promotion"]["rule"] == (None if code == 0 else "promotion.stale")


def test_a_promotion_that_was_asked_for_and_is_missing_fails(world: PullWorld):
    (world.directory / "edge" / "promotion.json").unlink()
    assert checks(verify(world, "--json"))["promotion"]["outcome"] == "passed"
    assert checks(verify(world, "--above", 1, "--json"))["promotion"]["rule"] == "promotion.missing"


def test_another_bundles_promotion_is_refused(world: PullWorld):
    asyncio.run(world.publish("m2"))
    world.promote("m2", 5)
    (world.directory / "edge" / "promotion.json").write_text(world.promotions["m2"].model_dump_json())
    assert checks(verify(world, "--json"))["promotion"]["rule"] == "promotion.other_model"
    (world.directory / "edge" / "promotion.json").write_text("{}")
    assert checks(verify(world, "--json"))["promotion"]["rule"] == "promotion.malformed"


def test_a_promotion_that_is_cut_off_is_told_in_one_plain_sentence(world: PullWorld):
    promotion = world.directory / "edge" / "promotion.json"
    promotion.write_bytes(promotion.read_bytes()[:40])
    told = checks(verify(world, "--json"))["promotion"]
    assert (told["rule"], told["hint"]) == ("promotion.malformed", "Pull the model again")
    assert told["detail"] == "promotion.json is cut off, or holds no promotion"


def test_another_models_grant_and_another_devices_are_refused(world: PullWorld):
    asyncio.run(world.publish("m2"))
    grant = world.directory / "edge" / "grant.age"
    grant.write_bytes(asyncio.run(world.grant("m2")))
    assert checks(verify(world, *with_identity(world), "--json"))["grant"]["rule"] == "grant.other_model"
    world.recipient = new_identity()[1]
    grant.write_bytes(asyncio.run(world.grant("m1")))
    assert checks(verify(world, *with_identity(world), "--json"))["grant"]["rule"] == "grant.not_for_us"
    grant.write_bytes(b"age-encryption.org/v1\n")
    assert checks(verify(world, *with_identity(world), "--json"))["grant"]["rule"] == "grant.damaged"


def test_an_expired_grant_is_told(world: PullWorld):
    world.expires_ms = 1_000
    (world.directory / "edge" / "grant.age").write_bytes(asyncio.run(world.grant("m1")))
    result = verify(world, *with_identity(world), "--json")
    told = checks(result)["grant"]
    assert (result.exit_code, told["rule"]) == (1, "grant.expired")
    assert "ended at 1970-01-01 00:00 UTC, and it is 20" in told["detail"]


def test_a_bundle_alone_can_be_checked(world: PullWorld):
    result = verify(world, "--json", root=world.bundles["m1"].directory)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "m1"


def test_a_project_whose_classes_mean_something_else_is_told(world: PullWorld, tmp_path: Path):
    schema = tmp_path / "classes.json"
    for classes, rule in ((["car", "truck", "boat"], None), (["boat", "truck"], "bundle.foreign_classes")):
        schema.write_text(json.dumps({"name": "vehicles", "classes": classes}))
        assert checks(verify(world, "--class-schema", schema, "--json"))["classes"]["rule"] == rule


def test_a_strangers_key_is_foreign_and_several_keys_may_be_trusted(world: PullWorld, tmp_path: Path):
    (tmp_path / "other.pub").write_bytes(new_signing_key()[1])
    assert verify(world, "--key", tmp_path / "other.pub").exit_code == 0
    shutil.copy(tmp_path / "other.pub", world.public)
    assert checks(verify(world, "--json"))["signature"]["rule"] == "signature.foreign_key"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (("--identity", "/nowhere/key"), "/nowhere/key can't be read"),
        (("--key", "/nowhere/key.pub"), "/nowhere/key.pub can't be read"),
        (("--class-schema", "/nowhere/classes.json"), "/nowhere/classes.json can't be read"),
    ],
)
def test_what_can_not_be_read_is_named(world: PullWorld, told: tuple[str, str], says: str):
    result = verify(world, *told)
    assert result.exit_code == 1
    assert says in result.output.replace("\n", "")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("private", "key.pub is a private key: keep it away, and give the public one"),
        ("other", "key.pub holds no public key in PEM form"),
    ],
)
def test_a_key_that_is_none_is_told_in_one_plain_sentence(world: PullWorld, tmp_path: Path, kind: str, says: str):
    key = tmp_path / "key.pub"
    key.write_bytes({"private": new_signing_key()[0], "other": b"no key at all"}[kind])
    result = verify(world, "--key", key)
    assert result.exit_code == 1
    assert result.output.strip().endswith(says)


def test_a_directory_that_holds_no_model_is_told(world: PullWorld, tmp_path: Path):
    assert "there is no directory" in verify(world, root=tmp_path / "nothing").output
    (tmp_path / "empty").mkdir()
    assert checks(verify(world, "--json", root=tmp_path / "empty"))["signature"]["rule"] == "signature.missing"
