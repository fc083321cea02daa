"""What a process gives up before it opens what strangers sent."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONFINED = """
import os, socket, sys
from labelstream.confinement import DECODER, confine
if not confine(DECODER):
    sys.exit("not here")
attempts = {
    "a socket": lambda: socket.socket(socket.AF_INET),
    "a pair of sockets": lambda: socket.socketpair(),
    "a file": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "a process": lambda: os.fork(),
    "a program": lambda: os.execv("/bin/true", ["true"]),
    "a signal": lambda: os.kill(os.getppid(), 0),
    "a removal": lambda: os.unlink("/nowhere"),
    "a rename": lambda: os.rename("/nowhere", "/elsewhere"),
    "a folder": lambda: os.mkdir("/nowhere"),
}
for what, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        continue
    except OSError as error:
        sys.exit(f"{what} was tried: {error}")
    sys.exit(f"{what} was granted")
os.write(1, os.read(0, 5).upper())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="seccomp is Linux's")
def test_a_decoder_only_reads_and_writes_what_it_has() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], input=b"hello", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"HELLO", b"")
