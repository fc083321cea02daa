"""What was tampered with is refused, each kind with its own reason: read the names and rules as the list."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelstream.bundle import MANIFEST, REPORT, SIGNATURE, GrantContent
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.protection.bundling import WrittenBundle
from labelstream.protection.grants import check_grant, grant_content, make_grant, open_grant
from labelstream.protection.promotions import PromotionStatement, check_promotion, promote
from labelstream.protection.sealing import new_identity, open_sealed
from labelstream.protection.signing import sign_directory
from labelstream.protection.verifying import verify_bundle

SEALED, GOLDEN = "onnx-fp32.age", "golden.age"
WEIGHTS = os.urandom(150_000)  # three chunks: longer than a small part
CLASSES = ClassSchema(name="vehicles", classes=("car", "truck"))


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


# --- the signed directory, whole -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [SEALED, GOLDEN, MANIFEST, REPORT])
def test_every_single_byte_of_a_signed_file_counts(reported, key, name: str):
    bundle = reported()
    path = bundle.directory / name
    for place in range(path.stat().st_size):
        flip(path, place)
        with pytest.raises(Rejected) as refused:
            verify_bundle(bundle.directory, [key.public])
        assert (refused.value.rule, f"{name} is not what was signed" in refused.value.reason) == (
            "signature.invalid",
            True,
        )
        flip(path, place)
    assert verify_bundle(bundle.directory, [key.public]).manifest == bundle.manifest


def test_every_single_byte_of_the_signature_breaks_it_or_says_the_same(reported, key):
    bundle = reported()
    path = bundle.directory / SIGNATURE
    whole, harmless = path.read_bytes(), []
    for place in range(len(whole)):
        flip(path, place)
        try:
            verified = verify_bundle(bundle.directory, [key.public])
        except Rejected as refused:
            assert refused.rule in {"signature.invalid", "signature.foreign_key"}  # noqa: PT017  # both are right
        else:
            assert verified.manifest == bundle.manifest
            harmless.append(place)
        flip(path, place)
    said, unsaid = json.loads(whole), bytearray(whole)
    for place in harmless:  # all of them lie outside of what is signed, and of the signature's own value
        unsaid[place] = ord("?")
    for told in (said["dsseEnvelope"]["payload"], said["dsseEnvelope"]["signatures"][0]["sig"]):
        assert told.encode()[:-2] in bytes(unsaid)  # base64's last letters may hold bits that say nothing


@dataclass
class Whole:
    """A signed directory to tamper with, beside another model's."""

    directory: Path
    other: Path
    apart: Path


def _cut(whole: Whole, name: str, keep: int) -> None:
    os.truncate(whole.directory / name, keep)


DIRECTORY: dict[str, tuple[str, str, Callable[[Whole], object]]] = {
    "a sealed file cut off in its header": ("signature.invalid", SEALED, lambda it: _cut(it, SEALED, 100)),
    "a sealed file cut off in its first chunk": ("signature.invalid", SEALED, lambda it: _cut(it, SEALED, 40_000)),
    "a sealed file cut off behind its first chunk": ("bundle.truncated", SEALED, lambda it: _cut(it, SEALED, 66_500)),
    "a sealed file cut off between two chunks": ("bundle.truncated", SEALED, lambda it: _cut(it, SEALED, 132_000)),
    "a sealed file without its last byte": (
        "bundle.truncated",
        SEALED,
        lambda it: _cut(it, SEALED, (it.directory / SEALED).stat().st_size - 1),
    ),
    "an empty sealed file": ("signature.invalid", SEALED, lambda it: _cut(it, SEALED, 0)),
    "a manifest cut off": ("signature.invalid", MANIFEST, lambda it: _cut(it, MANIFEST, 500)),
    "a report cut off": ("signature.invalid", REPORT, lambda it: _cut(it, REPORT, 4)),
    "a signature cut off": ("signature.invalid", SIGNATURE, lambda it: _cut(it, SIGNATURE, 500)),
    "a sealed file of another model": (
        "signature.invalid",
        SEALED,
        lambda it: shutil.copy(it.other / SEALED, it.directory / SEALED),
    ),
    "the manifest of another model": (
        "signature.invalid",
        MANIFEST,
        lambda it: shutil.copy(it.other / MANIFEST, it.directory / MANIFEST),
    ),
    "the signature of another model": (
        "signature.invalid",
        "is not what was signed",
        lambda it: shutil.copy(it.other / SIGNATURE, it.directory / SIGNATURE),
    ),
    "a file added": ("signature.file_added", "more.bin", lambda it: (it.directory / "more.bin").write_bytes(b"x")),
    "a sealed file removed": ("signature.file_missing", SEALED, lambda it: (it.directory / SEALED).unlink()),
    "the manifest removed": ("signature.file_missing", MANIFEST, lambda it: (it.directory / MANIFEST).unlink()),
    "the report removed": ("signature.file_missing", REPORT, lambda it: (it.directory / REPORT).unlink()),
    "the signature removed": ("signature.missing", SIGNATURE, lambda it: (it.directory / SIGNATURE).unlink()),
    "a link in a file's place": (
        "signature.link",
        SEALED,
        lambda it: (it.directory / SEALED).rename(it.apart) and (it.directory / SEALED).symlink_to(it.apart),
    ),
}


@pytest.mark.parametrize(("rule", "names", "tamper"), DIRECTORY.values(), ids=list(DIRECTORY))
def test_a_directory_is_refused_with(reported, key, tmp_path: Path, rule: str, names: str, tamper):
    whole = Whole(reported("m1", WEIGHTS).directory, reported("m2", WEIGHTS).directory, tmp_path / "apart")
    tamper(whole)
    with pytest.raises(Rejected) as refused:
        verify_bundle(whole.directory, [key.public])
    assert refused.value.rule == rule
    assert names in refused.value.reason


def test_what_a_stranger_signed_is_refused_though_it_is_consistent(reported, key, make_key):
    bundle = reported()
    sign_directory(bundle.directory, bundle.directory / SIGNATURE, make_key("stranger").private)
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        verify_bundle(bundle.directory, [key.public])


def test_files_that_were_signed_but_are_not_in_the_manifest_are_inconsistent(reported, key):
    bundle = reported()
    (bundle.directory / "more.bin").write_bytes(b"x")
    sign_directory(bundle.directory, bundle.directory / SIGNATURE, key.private)
    with pytest.raises(Rejected, match=r"bundle\.inconsistent.*more\.bin"):
        verify_bundle(bundle.directory, [key.public])


# --- class schemas ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [("car", "truck"), ("car",), ("car", "truck", "boat")])
def test_a_class_schema_that_grew_or_is_older_is_the_same_project(reported, key, classes):
    known = ClassSchema(name="vehicles", classes=classes)
    assert verify_bundle(reported().directory, [key.public], classes=known).manifest.class_schema == CLASSES


@pytest.mark.parametrize("classes", [("truck", "car"), ("boat", "truck"), ("car", "boat", "truck"), ("Car", "truck")])
def test_a_foreign_class_schema_is_refused_with_the_id_that_means_something_else(reported, key, classes):
    bundle, known = reported(), ClassSchema(name="vehicles", classes=classes)
    with pytest.raises(Rejected, match=r"bundle\.foreign_classes: class \d is '(car|truck)' in the bundle of m1"):
        verify_bundle(bundle.directory, [key.public], classes=known)


# --- grants ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Device:
    identity: str
    recipient: str

    def granted(self, bundle: WrittenBundle, expires_ms: int | None = None) -> bytes:
        return make_grant(grant_content(bundle.key, "camera-1", expires_ms=expires_ms), self.recipient)

    def open(self, grant: bytes, now_ms: int = 0) -> GrantContent:
        content = open_grant(grant, self.identity, now_ms=now_ms)
        check_grant(content, model="m1", project="default")
        return content


@pytest.fixture
def device() -> Device:
    return Device(*new_identity())


def test_every_single_byte_of_a_grant_counts(write, device: Device):
    bundle = write()
    small = grant_content(bundle.key, "camera-1").model_copy(update={"small_parts": {SEALED: b"small"}})
    grant = make_grant(small, device.recipient)
    for place in range(len(grant)):
        changed = bytearray(grant)
        changed[place] ^= 1
        with pytest.raises(Rejected, match=r"grant\.(damaged|not_for_us)"):
            device.open(bytes(changed))
    assert device.open(grant).identity == bundle.key.identity


def test_another_devices_grant_is_not_for_us(write, device: Device):
    with pytest.raises(Rejected, match=r"grant\.not_for_us"):
        device.open(Device(*new_identity()).granted(write()))


def test_a_grant_of_another_model_is_told(write, device: Device):
    with pytest.raises(Rejected, match=r"grant\.other_model"):
        device.open(device.granted(write("m2")))


def test_a_cut_off_grant_is_damaged(write, device: Device):
    grant = device.granted(write())
    for length in (0, 21, len(grant) // 2, len(grant) - 1):
        with pytest.raises(Rejected, match=r"grant\.damaged"):
            device.open(grant[:length])


def test_a_revoked_devices_old_grant_ends_and_does_not_open_the_next_model(write, key, device: Device):
    first, second = write("m1"), write("m2")
    grant = device.granted(first, expires_ms=1_000)
    content = device.open(grant, now_ms=999)
    with pytest.raises(Rejected, match=r"grant\.expired"):
        device.open(grant, now_ms=1_000)
    with pytest.raises(Rejected, match=r"seal\.wrong_key"):  # each model has a key pair of its own
        verify_bundle(second.directory, [key.public]).open(content.identity)


# --- promotions ------------------------------------------------------------------------------------------------------


def statement(number: int = 7, project: str = "default") -> PromotionStatement:
    return PromotionStatement(project=project, model="m1", number=number, manifest_sha256="a" * 64, signed_ms=1)


@pytest.mark.parametrize(
    ("number", "project", "signer", "rule"),
    [
        (6, "default", "signer", "promotion.stale"),
        (5, "default", "signer", "promotion.stale"),
        (7, "other", "signer", "promotion.other_project"),
        (7, "default", "stranger", "promotion.bad_signature"),
    ],
)
def test_a_promotion_is_refused_with(key, make_key, number: int, project: str, signer: str, rule: str):
    signed = promote(statement(number, project), (key if signer == "signer" else make_key(signer)).private)
    with pytest.raises(Rejected) as refused:
        check_promotion(*signed, [key.public], project="default", above=6)
    assert refused.value.rule == rule


def test_every_single_byte_of_a_promotion_and_of_its_signature_counts(key):
    said, signature = promote(statement(), key.private)
    for place in range(len(said)):
        changed = said[:place] + chr(ord(said[place]) ^ 1) + said[place + 1 :]
        with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
            check_promotion(changed, signature, [key.public], project="default", above=6)
    for place in range(len(signature.rstrip("=")) - 1):
        changed = signature[:place] + ("B" if signature[place] == "A" else "A") + signature[place + 1 :]
        with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
            check_promotion(said, changed, [key.public], project="default", above=6)


# --- the big part alone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [1, 30, 500])
def test_the_big_part_with_every_devices_key_but_without_a_grant_yields_nothing(
    write, key, tmp_path: Path, devices: int
):
    """Every enrolled device's private key is at hand, and the manifest, the signature and every big part."""
    pairs = [new_identity() for _ in range(devices)]
    bundle, other = write("m1", WEIGHTS), write("m2", WEIGHTS)
    grants = [make_grant(grant_content(other.key, f"d{n}"), recipient) for n, (_, recipient) in enumerate(pairs[:3])]
    big = bundle.write_big_parts(tmp_path / "public")[SEALED].read_bytes()
    assert len(big) > 60_000
    everybody = "\n".join(identity for identity, _ in pairs)
    header = bundle.key.small_parts[SEALED].split(b"\n--- ")[0]
    assert header.count(b"-> X25519 ") == 1  # the model's own key: not a device's
    for identity in (*(identity for identity, _ in pairs), everybody):
        with pytest.raises(Rejected, match=r"seal\.damaged"):
            open_sealed(big, identity)
    for grant, (identity, _) in zip(grants, pairs, strict=False):  # what a grant of another model brings
        content = open_grant(grant, identity, now_ms=0)
        whole = content.small_parts[SEALED] + big
        with pytest.raises(Rejected, match=r"seal\.(damaged|wrong_key)"):
            open_sealed(whole, content.identity)
        with pytest.raises(Rejected, match=r"seal\.wrong_key"):
            open_sealed(whole, everybody)
    for start in range(0, len(WEIGHTS) - 64, 64):
        assert WEIGHTS[start : start + 64] not in big
    assert open_sealed(bundle.key.small_parts[SEALED] + big, bundle.key.identity) == WEIGHTS  # what a grant changes


def test_the_keys_that_were_trusted_before_and_now_overlap(write, key, make_key):
    new = make_key("new")
    for bundle in (write("m1"), write("m2", signer=new)):
        assert verify_bundle(bundle.directory, [new.public, key.public]).manifest == bundle.manifest
        promotion = promote(statement(), (key if bundle.manifest.model == "m1" else new).private)
        assert check_promotion(*promotion, [new.public, key.public], project="default", above=0) == statement()
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        verify_bundle(write("m3").directory, [new.public])  # when the old one is not trusted any more
