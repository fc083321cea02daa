"""The processes of a stack, from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

from labelstream_local.process import marked_processes
from labelstream_local.stack import Stack


def trees_of(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Return each program that runs, with everything that it started; its own process is the first."""
    trees = {}
    for program, state in stack.supervisor.processes().items():
        if state.pid is not None:
            trees[program] = _tree(state.pid)
    return {program: tree for program, tree in trees.items() if tree}


def tree_of(stack: Stack, program: str) -> list[psutil.Process]:
    """Return a program's process and everything that it started; none while it does not run."""
    return trees_of(stack).get(program, [])


def suspend(processes: Iterable[psutil.Process]) -> None:
    """Stop them where they are."""
    _to_each(processes, psutil.Process.suspend)


def resume(processes: Iterable[psutil.Process]) -> None:
    """Let them go on."""
    _to_each(processes, psutil.Process.resume)


def strays(stack: Stack) -> list[str]:
    """Return the command lines of the stack's processes that nobody living looks after."""
    supervisor = stack.supervisor.pid
    found = []
    for process in left(stack):
        try:
            above = {parent.pid for parent in process.parents()}
            if process.pid != supervisor and supervisor not in above:
                found.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return found


def left(stack: Stack) -> list[psutil.Process]:
    """Return every process that carries the stack's mark, and those without it that work on its files."""
    marked = marked_processes(stack.layout.mark)
    known = {process.pid for process in marked}
    others = [
        process
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.pid not in known and any(str(stack.layout.root) in part for part in process.info["cmdline"] or [])
    ]
    return marked + others


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _to_each(processes: Iterable[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            do(process)
        except psutil.NoSuchProcess:
            continue
