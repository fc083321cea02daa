"""Devices whose private key lies in hardware: sealed to and opened through plugins of age."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.age_keys import check_recipient, identities_in, new_identity, recipient_of
from labelstream.protection.grants import grant_content, make_grant, open_grant
from labelstream.protection.sealing import open_sealed, seal

# Bech32 of sixteen bytes each, under the names of two plugins; the second is nowhere installed.
ONE, TWO = "age1tiny1vdsk6etjvysx7mn9yaejqmmhdcqpgndd", "age1tiny1vdsk6etjvys8gam0yaejqmmhdc8d00j7"
GONE = "age1gone1vdsk6etjvysx7mn9yaejqmmhdcdmu9zn"
IDENTITY, GONE_IDENTITY = "AGE-PLUGIN-TINY-1ZR3YJQ", "AGE-PLUGIN-GONE-134LEHW"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny plugin on the PATH; returns the file that is its hardware, a device's own."""
    program, hardware = tmp_path / "bin" / "age-plugin-tiny", tmp_path / "hardware"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("tiny_plugin.py")} "$@"\n')
    program.chmod(0o755)
    hardware.write_text(ONE)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TINY_HARDWARE", str(hardware))
    return hardware


def test_a_grant_for_a_device_with_a_plugin_opens_through_its_plugin(write, plugin: Path):
    bundle = write()
    check_recipient(ONE)
    grant = make_grant(grant_content(bundle.key, "kiosk-7"), ONE)
    assert open_grant(grant, IDENTITY, now_ms=0).identity == bundle.key.identity


def test_another_devices_hardware_does_not_open_it(write, plugin: Path):
    grant = make_grant(grant_content(write().key, "kiosk-7"), ONE)
    plugin.write_text(TWO)
    with pytest.raises(Rejected, match=r"grant\.not_for_us.*age-plugin-tiny"):
        open_grant(grant, IDENTITY, now_ms=0)


def test_devices_of_both_kinds_open_what_was_sealed_to_both(plugin: Path):
    identity, recipient = new_identity()
    sealed = seal(b"weights", [ONE, recipient, TWO])
    for key in (IDENTITY, identity, f"# two\n{IDENTITY}\n{identity}\n"):
        assert open_sealed(sealed, key) == b"weights"


def test_a_missing_plugin_is_named(plugin: Path):
    with pytest.raises(Rejected, match=r"seal\.no_plugin.*age-plugin-gone, which is not on the PATH"):
        check_recipient(GONE)
    with pytest.raises(Rejected, match=r"seal\.no_plugin.*age-plugin-gone"):
        seal(b"x", [GONE])
    with pytest.raises(Rejected, match=r"seal\.no_plugin.*age-plugin-gone"):
        open_sealed(seal(b"x", [ONE]), GONE_IDENTITY)


def test_a_plugin_that_breaks_off_is_said(plugin: Path, tmp_path: Path):
    sealed = seal(b"x", [ONE])
    (tmp_path / "bin" / "age-plugin-tiny").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(Rejected, match=r"seal\.not_sealed"):
        seal(b"x", [ONE])
    with pytest.raises(Rejected, match=r"seal\.wrong_key.*age-plugin-tiny"):
        open_sealed(sealed, IDENTITY)


def test_keys_that_hardware_holds_without_a_plugin_on_our_side_are_sealed_to():
    check_recipient("age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e")


def test_a_plugins_public_key_is_known_to_the_plugin_alone():
    with pytest.raises(Rejected, match=r"seal\.no_recipient_of_plugin.*age-plugin-tiny"):
        recipient_of(IDENTITY)


@pytest.mark.parametrize("text", ["AGE-PLUGIN-TINY-1ZR3YJZ", "AGE-SECRET-KEY-1NOTHING", "nothing"])
def test_what_is_no_private_key_is_refused_and_not_repeated(text: str):
    with pytest.raises(Rejected, match=r"seal\.bad_identity") as refused:
        open_sealed(seal(b"x", [new_identity()[1]]), text)
    assert text not in str(refused.value)


def test_identities_are_read_in_order_without_comments():
    one, two = new_identity()[0], new_identity()[0]
    assert identities_in(f"# created: today\n{one}\n\n  {two}\n") == (one, two)
    with pytest.raises(Misconfigured, match="holds none"):
        identities_in("# nothing\n")


@pytest.mark.skipif(shutil.which("age") is None, reason="the standard age command is not installed")
def test_the_standard_command_with_the_plugin_opens_ours_and_we_open_its(plugin: Path, tmp_path: Path):
    (tmp_path / "key").write_text(IDENTITY + "\n")
    (tmp_path / "ours.age").write_bytes(seal(b"weights", [ONE]))
    opened = subprocess.run(
        ["age", "--decrypt", "-i", tmp_path / "key", tmp_path / "ours.age"], capture_output=True, check=True
    )
    assert opened.stdout == b"weights"
    theirs = subprocess.run(["age", "-r", ONE], input=b"weights", capture_output=True, check=True)
    assert open_sealed(theirs.stdout, IDENTITY) == b"weights"
