"""Without a network: what was pulled is verified, opened and served, or it is said why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from inference.command import main
from inference.offline import REFUSED, Told, prepare, settings_of
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.grants import grant_content, make_grant
from labelstream.protection.pulled import BUNDLE, GRANT, PROMOTION, PulledPromotion
from labelstream.protection.sealing import new_identity


@dataclass
class Device:
    """A device without a network."""

    world: object
    root: Path

    @property
    def identity(self) -> Path:
        """The device's identity file, as age-keygen writes it."""
        path = self.root / "kiosk.age-identity"
        path.write_text(f"# public key: {self.world.recipient}\n{self.world.identity}\n")
        return path

    def pull(self, model: str, number: int | None = 3, *, signer=None, expires_ms: int | None = None, **told) -> Path:
        """Write what `labelstream models pull` writes."""
        bundle = self.world.bundle(model, signer=signer, **told)
        place = self.root / f"pulled-{model}"
        shutil.copytree(bundle.directory, place / BUNDLE)
        grant = make_grant(grant_content(bundle.key, "kiosk", expires_ms=expires_ms), self.world.recipient)
        (place / GRANT).write_bytes(grant)
        if number is not None:
            said = self.world.promotion(bundle, number)
            promotion = PulledPromotion(statement=said.statement, statement_signature=said.statement_signature)
            (place / PROMOTION).write_text(promotion.model_dump_json())
        return place

    def told(self, *directories: Path, **changes) -> Told:
        """Return what the command line says."""
        rest = {"identity": self.identity, "trusted_key": (self.world.key.public,), "port": 0, "access": "open"}
        return Told(directories, **{**rest, **changes})

    def prepared(self, *directories: Path, **changes):
        """Open models as the command does."""
        told = self.told(*directories, **changes)
        ready = prepare(told, settings_of(told))
        ready.port.close()
        return ready


@pytest.fixture
def device(world, tmp_path: Path, monkeypatch) -> Device:
    """A device with nothing in its environment."""
    for name in [name for name in os.environ if name.startswith("LABELSTREAM_")]:
        monkeypatch.delenv(name)
    return Device(world, tmp_path)


def test_a_pulled_model_answers_over_http_and_stops_when_told_to(device, red_picture) -> None:
    pulled = device.pull("m1")
    command = [sys.executable, "-m", "inference", "--bundle", pulled, "--identity", device.identity]
    command += ["--trusted-key", device.world.key.public, "--port", "0", "--access", "open"]
    with subprocess.Popen([str(each) for each in command], stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = (json.loads(line) for line in process.stdout)
            port = next(line["port"] for line in lines if line["event"] == "http.listening")
            url = f"http://127.0.0.1:{port}"
            answer = httpx.post(f"{url}/v1/predict", content=red_picture, timeout=60).raise_for_status().json()
            assert (answer["model"], answer["promotion"]) == ("m1", 3)
            assert [found["name"] for found in answer["detections"]] == ["red"]
            ready = httpx.get(f"{url}/readyz")
            assert ready.status_code == 200
            assert ready.json()["model"]["default"]["model"] == "m1"
            assert httpx.get(f"{url}/v1/models").json()["waiting"] == []
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_model_that_was_never_promoted_is_served_as_such(device) -> None:
    (model,) = device.prepared(device.pull("m1", number=None)).models
    assert (model.manifest.model, model.promotion) == ("m1", 0)


def test_what_is_not_what_its_makers_signed_is_refused(device) -> None:
    pulled = device.pull("m1")
    sealed = pulled / BUNDLE / "onnx-fp32.age"
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(Rejected, match=re.escape("onnx-fp32.age is not what was signed")) as refused:
        device.prepared(pulled)
    assert refused.value.rule == "signature.invalid"


def test_a_bundle_without_a_signature_is_refused(device) -> None:
    pulled = device.pull("m1")
    (pulled / BUNDLE / "model.sig").unlink()
    with pytest.raises(Rejected) as refused:
        device.prepared(pulled)
    assert refused.value.rule == "signature.missing"


def test_a_strangers_bundle_is_refused(device) -> None:
    with pytest.raises(Rejected) as refused:
        device.prepared(device.pull("m1", number=None, signer=device.world.other_key))
    assert refused.value.rule == "signature.foreign_key"


def test_a_strangers_promotion_is_refused(device) -> None:
    pulled = device.pull("m1")
    promotion = PulledPromotion.model_validate_json((pulled / PROMOTION).read_bytes())
    changed = promotion.model_copy(update={"statement": promotion.statement.replace('"number":3', '"number":9')})
    (pulled / PROMOTION).write_text(changed.model_dump_json())
    with pytest.raises(Rejected) as refused:
        device.prepared(pulled)
    assert refused.value.rule == "promotion.bad_signature"


def test_another_devices_identity_opens_nothing(device) -> None:
    pulled = device.pull("m1")
    other = device.root / "other.age-identity"
    other.write_text(new_identity()[0])
    with pytest.raises(Rejected) as refused:
        device.prepared(pulled, identity=other)
    assert refused.value.rule == "grant.not_for_us"


def test_a_grant_that_has_ended_opens_nothing(device) -> None:
    pulled = device.pull("m1", expires_ms=1)
    with pytest.raises(Rejected, match="1970-01-01 00:00 UTC") as refused:
        device.prepared(pulled)
    assert refused.value.rule == "grant.expired"


def test_a_directory_without_its_grant_is_refused(device) -> None:
    pulled = device.pull("m1")
    (pulled / GRANT).unlink()
    with pytest.raises(Rejected, match=re.escape(GRANT)) as refused:
        device.prepared(pulled)
    assert refused.value.rule == "grant.missing"


def test_a_model_that_answers_otherwise_here_is_refused(device, golden) -> None:
    with pytest.raises(Rejected) as refused:
        device.prepared(device.pull("m1", gain=0.9, golden=golden(1.0)))
    assert refused.value.rule == "model.golden_differs"


def test_what_no_pull_wrote_is_told_apart(device, tmp_path) -> None:
    pulled = device.pull("m1")
    for place, why in (
        (tmp_path / "nowhere", "no such directory"),
        (pulled / BUNDLE, "bundle alone"),
        (tmp_path, "no whole"),
    ):
        with pytest.raises(Misconfigured, match=why):
            device.prepared(place)


def test_one_model_answers_for_each_project(device) -> None:
    with pytest.raises(Misconfigured, match="second model of 'default'"):
        device.prepared(device.pull("m1"), device.pull("m2"))


def test_nobody_is_let_in_by_default(device) -> None:
    with pytest.raises(Misconfigured, match="--api-keys"):
        device.prepared(device.pull("m1"), access=None)


def test_settings_of_the_environment_still_count(device, monkeypatch) -> None:
    monkeypatch.setenv("LABELSTREAM_INFERENCE__QUEUE_SIZE", "3")
    monkeypatch.setenv("LABELSTREAM_INFERENCE__TRUSTED_KEYS", json.dumps([str(device.world.other_key.public)]))
    monkeypatch.setenv("LABELSTREAM_INFERENCE__DEVICE_IDENTITY_FILE", str(device.identity))
    settings = settings_of(device.told(device.root))
    assert settings.inference.queue_size == 3
    assert settings.inference.trusted_keys == (device.world.key.public,), "the command line comes first"
    settings = settings_of(device.told(device.root, trusted_key=(), identity=None))
    assert settings.inference.trusted_keys == (device.world.other_key.public,)
    assert device.world.identity in settings.inference.device_identity.get_secret_value()


@pytest.mark.parametrize(("left_out", "said"), [("identity", "--identity"), ("trusted_key", "--trusted-key")])
def test_what_must_be_told_is_asked_for(device, left_out, said) -> None:
    with pytest.raises(Misconfigured, match=said):
        settings_of(device.told(device.root, **{left_out: None}))


def test_a_port_that_is_taken_is_said(device) -> None:
    ready = prepare(told := device.told(device.pull("m1")), settings_of(told))
    try:
        with pytest.raises(Misconfigured, match="can't be listened on"):
            device.prepared(device.root, port=ready.port.getsockname()[1])
    finally:
        ready.port.close()


def test_the_exit_code_tells_a_refusal_from_a_mistake(device) -> None:
    pulled = device.pull("m1", expires_ms=1)
    rest = ["--identity", device.identity, "--trusted-key", device.world.key.public, "--port", "0", "--access", "open"]
    for directory, code, said in ((pulled, REFUSED, "grant.expired"), (device.root / "no", 2, "no such directory")):
        command = [sys.executable, "-m", "inference", "--bundle", directory, *rest]
        ended = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
        assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr


def test_options_of_a_pulled_model_stand_beside_it_alone(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--api-keys", "keys.json"])
    assert ended.value.code == 2
    assert "--api-keys needs --bundle" in capsys.readouterr().err
