"""What people do with models of the running stack: look, enrol a device, fetch, promote, go back, withdraw."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from labelstream.blobs.s3 import S3Blobs
from labelstream.events.model import ModelExported
from labelstream.events.serving import ModelActivated
from labelstream.protection.sealing import new_identity
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream_local.secrets_store import VERIFYING_KEY
from labelstream_local.stack import Stack

from .calling import call
from .conftest import Reference
from .course import NOBODYS
from .drawing import shot
from .forging import Forge
from .watching import PATIENCE_S, Onlooker, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def stack(reference: Reference) -> Stack:
    return reference.stack


@pytest.fixture
def exported(reference: Reference) -> ModelExported:
    return reference.course.exported[0]


async def told(stack: Stack, *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await call(stack, *arguments, "--json"))
    return answer


async def test_a_format_that_nobody_can_build_is_seen_to_wait_and_delays_nothing(
    stack: Stack, exported: ModelExported
) -> None:
    assert [artifact.name for artifact in exported.artifacts] == ["onnx-fp32"]
    assert exported.waiting == (NOBODYS,)
    listed = await call(stack, "models", "list", "--json")
    shown = await call(stack, "models", "show", exported.model, "--json")
    assert NOBODYS in listed
    assert NOBODYS in shown


class Kiosk:
    """A device with a key of its own, somewhere else than the stack: it gets what anybody may get, and its grants."""

    def __init__(self, stack: Stack, folder: Path, name: str) -> None:
        self.name, self._stack = name, stack
        identity, self.recipient = new_identity()
        self.key, self.token = folder / f"{name}.key", folder / f"{name}.token"
        self.key.write_text(identity + "\n")

    @property
    def _trust(self) -> list[str]:
        return ["--key", str(self._stack.secrets.path(VERIFYING_KEY)), "--identity", str(self.key)]

    async def enrol(self) -> None:
        to = ["--recipient", self.recipient, "--token-file", str(self.token), "--why", "a test wants it"]
        await call(self._stack, "devices", "add", self.name, *to)

    async def pull(self, model: str, to: Path) -> tuple[int, str]:
        """Pull as from another machine, with a key to the store that may only read models."""
        store: StoreSettings = self._stack.seaweedfs.settings_of("inference")
        secret = to.with_suffix(".secret")
        secret.write_text(store.secret_key.get_secret_value())
        there = ["--exporter", self._stack.url("exporter-serve"), "--token-file", str(self.token)]
        return await _labelstream(
            ["models", "pull", model, "--to", str(to), *there, *self._trust],
            {
                "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
                "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
                "LABELSTREAM_STORE__SECRET_KEY_FILE": str(secret),
            },
        )

    async def verify(self, directory: Path) -> tuple[int, str]:
        """Verify without the stack."""
        return await _labelstream(["models", "verify", str(directory), *self._trust], {})


async def _labelstream(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-c", "from labelstream_cli.main import app; app()", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": "/usr/bin:/bin", **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def _published(stack: Stack) -> dict[str, str]:
    """Every object that belongs to models but the grants and the devices' records."""
    found = {}
    for bucket in (stack.store.model_bucket, stack.store.resources_bucket):
        blobs = S3Blobs(stack.store, bucket, Health())
        found.update({f"{bucket}/{info.key}": info.etag async for info in blobs.list("")})
        await blobs.close()
    return {key: etag for key, etag in found.items() if "/grants/" not in key and "/devices/" not in key}


async def test_a_device_opens_the_model_after_only_a_grant_was_made_and_a_revoked_one_gets_no_other(
    stack: Stack, see: Onlooker, exported: ModelExported, tmp_path: Path
) -> None:
    before = await _published(stack)
    kiosk, edge = Kiosk(stack, tmp_path, "kiosk-7"), tmp_path / "edge"
    await kiosk.enrol()
    assert await kiosk.pull("serving", edge) == (0, _containing(exported.model))
    assert await kiosk.verify(edge) == (0, _containing("onnx-fp32"))
    assert await _published(stack) == before
    _standard_command_verifies(edge / "bundle", stack.secrets.path(VERIFYING_KEY))

    await call(stack, "devices", "revoke", "kiosk-7", "--why", "it was stolen")
    forge = Forge(see, tmp_path)
    later = await forge.copy(await forge.whole(exported), "a later model", signed_by=forge.own_key, grant=False)
    await forge.make_known()
    assert await kiosk.pull(later.model, tmp_path / "later") == (1, _containing("revoked"))
    assert not (tmp_path / "later" / "bundle").exists()
    assert await kiosk.verify(edge) == (0, _containing("onnx-fp32"))  # offline devices keep what they fetched

    kinds = {"access.given", "grant.made", "resource.fetched", "access.revoked", "access.refused"}
    async with asyncio.timeout(PATIENCE_S):
        while {entry["type"] for entry in (await told(stack, "devices", "audit", "kiosk-7"))["entries"]} != kinds:  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(0.5)  # refusals are counted, and said from time to time


class _containing(str):  # noqa: N801  # reads as a matcher
    """A text that equals whatever contains it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str(self) in other

    __hash__ = str.__hash__


def _standard_command_verifies(bundle: Path, public_key: Path) -> None:
    arguments = ["--signature", str(bundle / "model.sig"), "--public_key", str(public_key), "--no-ignore-git-paths"]
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(bundle), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_person_promotes_goes_back_and_withdraws_and_the_log_says_who_and_why(
    stack: Stack, see: Onlooker, exported: ModelExported, tmp_path: Path
) -> None:
    forge = Forge(see, tmp_path)
    copy = await forge.copy(await forge.whole(exported), "by hand", signed_by=forge.own_key)
    await forge.make_known()
    to_copy = await told(stack, "models", "promote", copy.model, "--why", "better at night", "--by", "ada")
    await see.heard(ModelActivated, lambda event: event.number == to_copy["number"])
    assert predict(stack, shot("asked", "asked").image)["model"] == copy.model
    refused = await call(stack, "models", "withdraw", copy.model, "--why", "it serves", expected=1)
    assert refused == ""

    back = await told(stack, "models", "rollback", "--to", exported.model, "--why", "false alarms", "--by", "ada")
    assert (back["model"], back["number"] > to_copy["number"]) == (exported.model, True)
    await see.heard(ModelActivated, lambda event: event.number == back["number"])
    await call(stack, "models", "withdraw", copy.model, "--why", "false alarms", "--by", "ada")
    await call(stack, "models", "promote", copy.model, "--why", "once more", expected=1)
    shown = json.dumps(await told(stack, "models", "show", copy.model))
    for said in ("ada", "better at night", "false alarms"):
        assert said in shown


async def test_a_program_that_knows_the_legacy_form_alone_gets_its_model(stack: Stack, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a long password of theirs\n")
    person = ["--email", "them@example.org", "--password-file", str(password), "--why", "a test wants it"]
    await call(stack, "users", "add", "them", *person)
    await call(stack, "models", "twin", "serving", "--folder", "detectors", "--file", "model.onnx")
    api = stack.url("exporter-serve")
    login = {"email": "them@example.org", "password": "a long password of theirs"}
    token = (
        (await asyncio.to_thread(httpx.post, f"{api}/login", json=login, timeout=60)).raise_for_status().json()["token"]
    )
    hardware = {"cpu": "c", "gpu": "g", "memory": "16", "driveSerial": "s"}
    wanted = {"password": login["password"], "hardware": hardware, "fileName": "model.onnx"}
    shown = {"Authorization": f"Bearer {token}"}
    answer = await asyncio.to_thread(
        httpx.post, f"{api}/resources/get/detectors", json=wanted, headers=shown, timeout=60
    )
    assert answer.status_code == 200
    assert len(answer.content) > 3 * 1024  # IV, the small part, padding
