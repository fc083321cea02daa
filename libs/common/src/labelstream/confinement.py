"""What a process gives up before it opens a file that it does not trust.

On Linux a seccomp filter refuses it system calls, whatever the library that asks: no privilege is needed, and neither
the process nor a child of it can take the filter off again. Elsewhere there is none, and the caller is told.
See seccomp(2) and linux/filter.h, linux/seccomp.h, linux/audit.h for the numbers.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import sys
from collections.abc import Iterable, Sequence

NETWORK = ("socket", "io_uring_setup")  # io_uring opens sockets as well
DECODER = (  # reads descriptors that it has, and computes: it opens nothing, starts nothing, and reaches nobody else
    *NETWORK,
    *("socketpair", "connect", "open", "openat", "openat2", "creat", "open_by_handle_at"),
    *("clone", "clone3", "fork", "vfork", "execve", "execveat"),
    *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd"),
    *("pidfd_send_signal", "ptrace", "process_vm_readv", "process_vm_writev", "prlimit64", "unshare", "setns"),
    *("unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "chmod", "fchmodat", "truncate"),
    *("link", "linkat", "symlink", "symlinkat", "mount", "bpf", "userfaultfd", "perf_event_open"),
    *("keyctl", "add_key", "request_key"),
)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in seccomp_data
_FOREIGN_NUMBERS = 0x40000000  # the x32 calls begin here
_COMMON = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435, "openat2": 437,
    "pidfd_getfd": 438,
}  # fmt: skip
_X86_64 = {
    "open": 2, "socket": 41, "connect": 42, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
    "kill": 62, "truncate": 76, "rename": 82, "mkdir": 83, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
    "chmod": 90, "ptrace": 101, "rt_sigqueueinfo": 129, "mount": 165, "tkill": 200, "tgkill": 234, "add_key": 248,
    "request_key": 249, "keyctl": 250, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "fchmodat": 268, "unshare": 272, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
    "prlimit64": 302, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "renameat2": 316, "bpf": 321, "execveat": 322, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "mount": 40, "truncate": 45,
    "fchmodat": 53, "openat": 56, "unshare": 97, "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131,
    "rt_sigqueueinfo": 138, "socket": 198, "socketpair": 199, "connect": 203, "add_key": 217, "request_key": 218,
    "keyctl": 219, "clone": 220, "execve": 221, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "renameat2": 276,
    "bpf": 280, "execveat": 281, "userfaultfd": 282,
}  # fmt: skip  # what is missing here, that machine does not have
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}  # with its audit number


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def confine(given_up: Iterable[str] = NETWORK) -> bool:
    """Give up these system calls for good (EPERM); say whether that was possible."""
    known = _MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or known is None:
        return False
    audit, own = known
    numbers = own | _COMMON
    instructions = _filter(audit, [numbers[name] for name in given_up if name in numbers])
    listed = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), listed)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(machine: int, refused: Sequence[int]) -> list[_Instruction]:
    return [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, machine),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER),
        _Instruction(_JUMP_IF_AT_LEAST, len(refused) + 1, 0, _FOREIGN_NUMBERS),
        *(_Instruction(_JUMP_IF_EQUAL, len(refused) - i, 0, call) for i, call in enumerate(refused)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _REFUSE),
    ]
