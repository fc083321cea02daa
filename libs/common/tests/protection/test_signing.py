from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.signing import sign_directory, verify_directory
from labelstream.protection.signing_keys import load_private_key, load_public_key
from labelstream.values import sha256_hex

FILES = {"manifest.json": b'{"model": "m1"}', "onnx-fp32.age": b"sealed weights"}


@pytest.fixture
def signed(tmp_path: Path, key) -> Path:
    directory = tmp_path / "bundle"
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    sign_directory(directory, directory / "model.sig", key.private)
    return directory


def verify(directory: Path, *keys) -> dict[str, str]:
    return verify_directory(directory, directory / "model.sig", [each.public for each in keys])


def test_a_signed_directory_verifies_and_its_digests_are_told(signed: Path, key):
    assert verify(signed, key) == {name: sha256_hex(content) for name, content in FILES.items()}


def test_the_directory_may_be_moved(signed: Path, key, tmp_path: Path):
    assert set(verify(signed.rename(tmp_path / "elsewhere"), key)) == set(FILES)


@pytest.mark.parametrize("extra", ["more.bin", ".gitattributes", ".git/config", "deep/model.sig"])
def test_an_extra_file_is_named(signed: Path, key, extra: str):
    (signed / extra).parent.mkdir(exist_ok=True)
    (signed / extra).write_bytes(b"x")
    with pytest.raises(Rejected, match=rf"signature\.file_added.*: {re.escape(extra)} was added\."):
        verify(signed, key)


def test_a_missing_file_is_named(signed: Path, key):
    (signed / "manifest.json").unlink()
    with pytest.raises(Rejected, match=r"signature\.file_missing.*: manifest\.json is missing\."):
        verify(signed, key)


def test_a_changed_file_is_named(signed: Path, key):
    (signed / "onnx-fp32.age").write_bytes(b"Sealed weights")
    with pytest.raises(Rejected, match=r"signature\.invalid.*: onnx-fp32\.age is not what was signed\."):
        verify(signed, key)


def test_a_link_is_refused(signed: Path, key, tmp_path: Path):
    (signed / "onnx-fp32.age").rename(tmp_path / "moved")
    (signed / "onnx-fp32.age").symlink_to(tmp_path / "moved")
    with pytest.raises(Rejected, match=r"signature\.link.*: onnx-fp32\.age is a link, not a file\."):
        verify(signed, key)


def test_a_missing_signature_is_said(signed: Path, key):
    (signed / "model.sig").unlink()
    with pytest.raises(Rejected, match=r"signature\.missing"):
        verify(signed, key)


def test_another_key_is_called_foreign(signed: Path, make_key):
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        verify(signed, make_key("other"))


def test_a_stranger_who_claims_our_key_is_refused(signed: Path, key, make_key):
    stranger = make_key("stranger")
    ours = json.loads((signed / "model.sig").read_text())
    sign_directory(signed, signed / "model.sig", stranger.private)
    theirs = json.loads((signed / "model.sig").read_text())
    theirs["verificationMaterial"] = ours["verificationMaterial"]
    (signed / "model.sig").write_text(json.dumps(theirs))
    with pytest.raises(Rejected, match=r"signature\.invalid.*does not fit"):
        verify(signed, key)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00", '{"verificationMaterial": {"publicKey": {}}}'])
def test_a_signature_file_of_another_kind_is_refused(signed: Path, key, content: str):
    (signed / "model.sig").write_text(content)
    with pytest.raises(Rejected, match=r"signature\.invalid"):
        verify(signed, key)


@pytest.mark.parametrize("missing", ["dsseEnvelope", "mediaType", "signatures", "payload"])
def test_a_signature_file_with_a_part_missing_is_refused(signed: Path, key, missing: str):
    content = json.loads((signed / "model.sig").read_text())
    content.pop(missing, None)
    content.get("dsseEnvelope", {}).pop(missing, None)
    (signed / "model.sig").write_text(json.dumps(content))
    with pytest.raises(Rejected, match=r"signature\.invalid"):
        verify(signed, key)


def test_old_and_new_key_are_trusted_while_they_overlap(signed: Path, key, make_key):
    new = make_key("new")
    assert verify(signed, new, key)
    sign_directory(signed, signed / "model.sig", new.private)
    assert verify(signed, key, new)
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        verify(signed, key)


def test_the_standard_command_verifies_the_same_directory(signed: Path, key):
    def command() -> subprocess.CompletedProcess[str]:
        options = ["--signature", signed / "model.sig", "--public_key", key.public, "--no-ignore-git-paths"]
        arguments = [sys.executable, "-m", "model_signing", "verify", "key", signed, *options]
        return subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert command().returncode == 0, command().stderr
    (signed / "manifest.json").write_bytes(b"{}")
    assert command().returncode != 0


def test_nothing_is_asked_of_the_network(signed: Path, key):
    """A fresh interpreter which ends as soon as a name is resolved or a connection begins."""
    program = (
        "import socket, sys, os\n"
        "from pathlib import Path\n"
        "asking = {'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto', 'socket.sendmsg'}\n"
        "sys.addaudithook(lambda event, _: os._exit(9) if event in asking else None)\n"
        "from labelstream.protection.signing import sign_directory, verify_directory\n"
        "d, private, public = map(Path, sys.argv[1:])\n"
        "verify_directory(d, d / 'model.sig', [public])\n"
        "sign_directory(d, d / 'model.sig', private)\n"
        "verify_directory(d, d / 'model.sig', [public])\n"
        "print('verified')\n"
        "socket.getaddrinfo('localhost', 80)\n"
    )
    arguments = [sys.executable, "-uc", program, signed, key.private, key.public]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("verified\n", 9), ran.stderr


def test_nothing_verifies_without_a_trusted_key(signed: Path):
    with pytest.raises(Misconfigured, match="no public key is trusted"):
        verify(signed)


def test_a_bad_key_file_is_named(signed: Path, key, tmp_path: Path):
    other_curve = ec.generate_private_key(ec.SECP384R1())
    pem, pkcs8, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "p384.pem").write_bytes(other_curve.private_bytes(pem, pkcs8, plain))
    with pytest.raises(Misconfigured, match=r"missing\.pub"):
        load_public_key(tmp_path / "missing.pub")
    with pytest.raises(Misconfigured, match=r"signer\.pem is a private key: keep it away, and give the public one$"):
        load_public_key(key.private)
    with pytest.raises(Misconfigured, match=r"signer\.pub holds no private key in PEM form without a password$"):
        load_private_key(key.public)
    with pytest.raises(Misconfigured, match=r"p384\.pem.*P-256"):
        sign_directory(signed, signed / "model.sig", tmp_path / "p384.pem")
