from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from labelstream.bundle import MANIFEST, SIGNATURE, Manifest
from labelstream.errors import Rejected
from labelstream.protection.bundling import WrittenBundle, put_together, read_manifest, verify_bundle
from labelstream.protection.grants import check_grant, grant_content, make_grant, open_grant
from labelstream.protection.sealing import NotForUs, Tampered, new_identity, open_sealed
from labelstream.protection.signing import sign_directory
from labelstream.values import sha256_hex

WEIGHTS = os.urandom(150_000)  # longer than a small part
SEALED = "onnx-fp32.age"


def deliver(bundle: WrittenBundle, target: Path, small_parts: dict[str, bytes]) -> Path:
    """Bring a bundle to a device: what is public, and the small parts of a grant."""
    target.mkdir()
    for name in (MANIFEST, SIGNATURE):
        shutil.copy(bundle.directory / name, target / name)
    put_together(target, small_parts, bundle.write_big_parts(target.with_name("public")))
    return target


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_bundle_is_verified_and_opened(write, key, golden):
    bundle = write(weights=WEIGHTS)
    opened = verify_bundle(bundle.directory, [key.public]).open(bundle.key.identity)
    assert opened.manifest == bundle.manifest
    assert opened.artifacts == {"onnx-fp32": WEIGHTS}
    assert opened.golden == golden


def test_a_bundle_in_parts_reaches_a_device_with_its_grant(write, key, tmp_path: Path):
    device, recipient = new_identity()
    bundle = write(weights=WEIGHTS)
    grant = open_grant(make_grant(grant_content(bundle.key, "camera-1"), recipient), device, now_ms=0)
    arrived = verify_bundle(deliver(bundle, tmp_path / "device", grant.small_parts), [key.public])
    check_grant(grant, model=arrived.manifest.model, project=arrived.manifest.project)
    assert arrived.open(grant.identity).artifacts == {"onnx-fp32": WEIGHTS}
    assert arrived.manifest_sha256 == bundle.manifest_sha256


def test_nothing_plain_lies_in_the_directory(write, golden):
    bundle = write(weights=WEIGHTS)
    files = {path.name: path.read_bytes() for path in bundle.directory.iterdir()}
    assert set(files) == {"manifest.json", "model.sig", SEALED, "golden.age"}
    for content in files.values():
        assert WEIGHTS[70_000:70_064] not in content
        assert golden.images[0].image not in content
        assert bundle.key.identity.encode() not in content
    assert "AGE-SECRET-KEY" not in repr(bundle)


def test_the_manifest_tells_sizes_and_digests(write):
    bundle = write(weights=WEIGHTS)
    manifest = read_manifest((bundle.directory / MANIFEST).read_bytes())
    artifact, sealed = manifest.artifacts[0], (bundle.directory / SEALED).read_bytes()
    assert manifest == bundle.manifest
    assert (artifact.sealed_sha256, artifact.sealed_bytes) == (sha256_hex(sealed), len(sealed))
    assert (artifact.plain_sha256, artifact.plain_bytes) == (sha256_hex(WEIGHTS), len(WEIGHTS))
    assert artifact.small_bytes == len(bundle.key.small_parts[SEALED])


def test_only_the_wanted_artifacts_are_opened(write, key):
    bundle = write()
    verified = verify_bundle(bundle.directory, [key.public])
    assert verified.open(bundle.key.identity, ["onnx-fp32"]).artifacts == {"onnx-fp32": b"weights"}
    assert verified.open(bundle.key.identity, []).artifacts == {}
    with pytest.raises(Rejected, match=r"bundle\.no_artifact.*rknn"):
        verified.open(bundle.key.identity, ["rknn-int8"])


@pytest.mark.parametrize("name", [MANIFEST, SEALED, "golden.age"])
@pytest.mark.parametrize("share", [0, 0.1, 0.4, 0.6, 0.9, 1])
def test_a_flipped_byte_anywhere_breaks_the_signature(write, key, name: str, share: float):
    bundle = write()
    path = bundle.directory / name
    flip(path, int(share * (path.stat().st_size - 1)))
    with pytest.raises(Rejected, match=rf"signature\.invalid.*{name}"):
        verify_bundle(bundle.directory, [key.public])


def test_a_flipped_byte_in_the_signature_breaks_it_or_changes_nothing_that_is_signed(write, key):
    bundle = write()
    path = bundle.directory / SIGNATURE
    whole, rules = path.read_bytes(), []
    for place in range(0, len(whole), 37):
        path.write_bytes(whole)
        flip(path, place)
        try:
            verified = verify_bundle(bundle.directory, [key.public])
        except Rejected as error:
            rules.append(error.rule)
        else:  # a byte that no reader of the format looks at
            rules.append("unchanged" if verified.manifest == bundle.manifest else "forged")
    assert set(rules) <= {"signature.invalid", "signature.foreign_key", "unchanged"}
    assert rules.count("unchanged") < 0.1 * len(rules)


@pytest.mark.parametrize("name", [SEALED, "golden.age"])
def test_every_flipped_byte_after_the_check_is_noticed_when_opening(write, key, name: str):
    bundle = write()
    verified = verify_bundle(bundle.directory, [key.public])
    path = bundle.directory / name
    for place in range(path.stat().st_size):
        flip(path, place)
        with pytest.raises((NotForUs, Tampered)):
            verified.open(bundle.key.identity)
        flip(path, place)
    assert verified.open(bundle.key.identity).artifacts == {"onnx-fp32": b"weights"}


def test_another_sealed_file_put_there_after_the_check_is_noticed(write, key):
    bundle = write()
    verified = verify_bundle(bundle.directory, [key.public])
    golden = (bundle.directory / "golden.age").read_bytes()
    (bundle.directory / SEALED).write_bytes(golden)  # sealed to the same key: it does open
    with pytest.raises(Rejected, match=r"bundle\.changed.*onnx-fp32\.age"):
        verified.open(bundle.key.identity)


def test_a_bundle_signed_by_another_key_is_refused(write, key, make_key):
    bundle = write(signer=make_key("stranger"))
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        verify_bundle(bundle.directory, [key.public])


def test_a_big_part_without_its_small_part_is_refused(write, key, tmp_path: Path):
    bundle = write(weights=WEIGHTS)
    with pytest.raises(Rejected, match=r"bundle\.no_small_part.*onnx-fp32\.age"):
        deliver(bundle, tmp_path / "device", {})
    big = bundle.write_big_parts(tmp_path / "big")[SEALED].read_bytes()
    with pytest.raises(Tampered, match=r"seal\.damaged"):
        open_sealed(big, bundle.key.identity)  # not even with the model's own key


def test_parts_swapped_between_models_are_refused(write, key, tmp_path: Path):
    one, two = write("m1", WEIGHTS), write("m2", WEIGHTS)
    directory = deliver(one, tmp_path / "device", two.key.small_parts)
    with pytest.raises(Rejected, match=r"signature\.invalid.*golden\.age.*onnx-fp32\.age"):
        verify_bundle(directory, [key.public])


def test_files_swapped_between_models_are_refused(write, key):
    one, two = write("m1"), write("m2")
    shutil.copy(two.directory / SEALED, one.directory / SEALED)
    with pytest.raises(Rejected, match=r"signature\.invalid.*onnx-fp32\.age"):
        verify_bundle(one.directory, [key.public])


def test_a_truncated_file_is_refused(write, key):
    bundle = write(weights=WEIGHTS)
    os.truncate(bundle.directory / SEALED, 100_000)
    with pytest.raises(Rejected, match=r"bundle\.truncated.*onnx-fp32\.age has 100000 of"):
        verify_bundle(bundle.directory, [key.public])


def test_another_models_key_does_not_open_it(write, key):
    one, two = write("m1"), write("m2")
    with pytest.raises(NotForUs, match=r"seal\.wrong_key"):
        verify_bundle(one.directory, [key.public]).open(two.key.identity)


def test_a_report_is_signed_along(write, key, tmp_path: Path):
    (tmp_path / "m1").mkdir()
    (tmp_path / "m1" / "report.html").write_text("fine")
    bundle = write("m1")
    assert verify_bundle(bundle.directory, [key.public]).manifest == bundle.manifest
    (bundle.directory / "report.html").write_text("Fine")
    with pytest.raises(Rejected, match=r"signature\.invalid.*report\.html"):
        verify_bundle(bundle.directory, [key.public])


def signed_with(bundle: WrittenBundle, key, **changes: object) -> Path:
    """Sign the bundle anew with other fields in its manifest."""
    path = bundle.directory / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    sign_directory(bundle.directory, bundle.directory / SIGNATURE, key.private)
    return bundle.directory


def test_a_signed_manifest_that_names_another_digest_is_inconsistent(write, key):
    bundle = write()
    golden = bundle.manifest.golden.model_dump()
    with pytest.raises(Rejected, match=r"bundle\.inconsistent.*golden\.age"):
        verify_bundle(signed_with(bundle, key, golden={**golden, "sealed_sha256": "0" * 64}), [key.public])
    verified = verify_bundle(signed_with(bundle, key, golden={**golden, "plain_sha256": "0" * 64}), [key.public])
    with pytest.raises(Rejected, match=r"bundle\.inconsistent.*golden\.age"):
        verified.open(bundle.key.identity)


@pytest.mark.parametrize("file", ["../m2/golden.age", "/etc/x.age", "golden.age\n", ".age"])
def test_a_manifest_names_no_file_outside_its_directory(write, key, file: str):
    bundle = write()
    directory = signed_with(bundle, key, golden={**bundle.manifest.golden.model_dump(), "file": file})
    with pytest.raises(Rejected, match=r"bundle\.bad_manifest"):
        verify_bundle(directory, [key.public])


def test_a_signed_directory_without_a_manifest_is_no_bundle(write, key):
    bundle = write()
    (bundle.directory / MANIFEST).unlink()
    sign_directory(bundle.directory, bundle.directory / SIGNATURE, key.private)
    with pytest.raises(Rejected, match=r"bundle\.no_manifest"):
        verify_bundle(bundle.directory, [key.public])


def test_a_manifest_from_before_there_was_a_reference_is_still_read(write):
    bundle = write(weights=b"weights")
    older = json.loads((bundle.directory / MANIFEST).read_bytes())
    del older["reference"]
    assert Manifest.model_validate(older).reference is None
