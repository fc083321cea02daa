"""Whether the kernel killed for want of memory: how often it did, by its own count for our control group."""

from __future__ import annotations

from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def memory_kills(groups: Path = _GROUPS, root: Path = _ROOT) -> int:
    """Return how many processes of our control group were killed for want of memory; 0 where nobody counts."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:  # not Linux
        return 0
    return max((_count(path) for line in lines for path in _counters(line, root)), default=0)


def _counters(line: str, root: Path) -> tuple[Path, ...]:
    """Return the files that may count; inside a container the group's own folder is the root."""
    _, controllers, group = line.split(":", 2)
    if controllers == "":
        return (root / group.lstrip("/") / "memory.events", root / "memory.events")
    if controllers == "memory":
        return (root / "memory" / group.lstrip("/") / "memory.oom_control", root / "memory" / "memory.oom_control")
    return ()


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
