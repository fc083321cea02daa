"""What a process gives up before it opens a file that it does not trust.

On Linux a seccomp filter refuses it every new socket, whatever the library that asks: no privilege is needed, and
neither the process nor a child of it can take the filter off again. Elsewhere there is none, and the caller is told.
See seccomp(2) and linux/filter.h, linux/seccomp.h, linux/audit.h for the numbers.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import sys
from collections.abc import Iterable

MOST_BYTES_WRITTEN = 4 << 30  # of one file: no detector is larger

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in seccomp_data
_FOREIGN_NUMBERS = 0x40000000  # the x32 calls begin here
# machine → its audit number, and the numbers of socket and io_uring_setup (which opens sockets as well)
_CALLS = {"x86_64": (0xC000003E, (41, 425)), "aarch64": (0xC00000B7, (198, 425))}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def confine() -> bool:
    """Give up new sockets, and files larger than any detector; say whether the first was possible."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES_WRITTEN, MOST_BYTES_WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known = _CALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or known is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = _filter(*known)
    listed = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), listed)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(machine: int, refused: Iterable[int]) -> list[_Instruction]:
    calls = tuple(refused)
    return [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, machine),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER),
        _Instruction(_JUMP_IF_AT_LEAST, len(calls) + 1, 0, _FOREIGN_NUMBERS),
        *(_Instruction(_JUMP_IF_EQUAL, len(calls) - i, 0, call) for i, call in enumerate(calls)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _REFUSE),
    ]
