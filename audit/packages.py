"""Known weaknesses of the pinned packages, as an advisory service tells pip-audit.

An index may answer pip-audit without knowing any weakness. So a package is asked for along that is known to be weak:
a service that does not know of it knows nothing, and nothing was audited.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

LISTS = (
    "constraints.txt",
    "constraints-gpu.txt",
    "requirements-mlflow.txt",
    "requirements-peers.txt",
    "requirements-rknn.txt",
)
ACCEPTED = Path("audit/accepted.txt")
KNOWN_TO_BE_WEAK = "django", "1.11"  # none of our packages: pip-audit refuses a list with two versions of one
SERVICE = "AUDIT_SERVICE"  # the variable that names another: osv, or the address of one that speaks as OSV does
_LONGEST_S = 900


class NotAudited(Exception):
    """No advisory service answered, or none that knows anything."""


@dataclass(frozen=True)
class Weakness:
    """Something that is known to be wrong with a pinned package."""

    package: str
    version: str
    id: str
    also: tuple[str, ...] = ()
    fixed_in: tuple[str, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        """Every name that it goes by."""
        return frozenset((self.id, *self.also))

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed in any version"
        return f"{self.package} {self.version}: {', '.join(sorted(self.ids))}; {fixed}"


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    asked: int
    weak: tuple[Weakness, ...]
    unknown: tuple[str, ...]  # packages that it does not know

    @classmethod
    def of(cls, told: dict[str, Any]) -> Answer:
        """Read pip-audit's JSON. Raises NotAudited when it does not even know what is known to be weak."""
        weak = tuple(_weakness(package, one) for package in told["dependencies"] for one in package.get("vulns", ()))
        if not any((one.package, one.version) == KNOWN_TO_BE_WEAK for one in weak):
            raise NotAudited(
                "the service answers, and knows of no weakness, not even those of a package that is full of them"
            )
        ours = [package for package in told["dependencies"] if not _is_the_weak_one(package)]
        unknown = tuple(package["name"] for package in ours if "skip_reason" in package)
        return cls(len(ours), tuple(one for one in weak if (one.package, one.version) != KNOWN_TO_BE_WEAK), unknown)


def report(root: Path) -> int:
    """Ask about every pinned package and print what is known; return 0, 1 (weak ones) or 3 (nobody could be asked)."""
    pins = sorted({pin for name in LISTS if (root / name).exists() for pin in pins_in((root / name).read_text())})
    accepted = accepted_in((root / ACCEPTED).read_text())
    try:
        ask([])  # a service that knows nothing is not troubled with all our names
        answers = [ask(some) for some in versions_apart(pins)]
    except NotAudited as problem:
        print(f"packages: NOT AUDITED, of {len(pins)}: {problem}")
        return 3
    weak = [one for answer in answers for one in answer.weak]
    left = [one for one in weak if not one.ids & accepted.keys()]
    asked = sum(answer.asked for answer in answers)
    print(f"packages: {asked} asked for, {len(left)} weaknesses, {len(weak) - len(left)} accepted")
    for name in sorted({name for answer in answers for name in answer.unknown}):
        print(f"  {name}: unknown to the service, so nothing was said of it")
    for weakness in left:
        print(f"  {weakness}")
    return 1 if left else 0


def pins_in(text: str) -> list[str]:
    """Return the lines `name==version` of a requirements file, without markers and comments."""
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in text.splitlines())
    return [line for line in lines if "==" in line]


def versions_apart(pins: list[str]) -> list[list[str]]:
    """Return the pins in groups, none of which has two versions of a package: our lists differ in some."""
    versions: dict[str, list[str]] = {}
    for pin in pins:
        versions.setdefault(pin.partition("==")[0].partition("[")[0].lower().replace("_", "-"), []).append(pin)
    return [[pin for pin in group if pin is not None] for group in zip_longest(*versions.values())]


def accepted_in(text: str) -> dict[str, str]:
    """Return the ids of weaknesses that do not concern us, and why: `ID reason`, one a line."""
    lines = (line.strip().partition(" ") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: reason.strip() for name, _, reason in lines}


def ask(pins: list[str]) -> Answer:
    """Ask the advisory service. Raises NotAudited."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pins.txt"
        file.write_text("\n".join([*pins, "==".join(KNOWN_TO_BE_WEAK)]) + "\n")
        try:
            done = subprocess.run(  # noqa: S603  the command is ours
                [sys.executable, "-m", "pip_audit", f"--requirement={file}", *_options()],
                capture_output=True, text=True, timeout=_LONGEST_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise NotAudited(f"the service did not answer within {_LONGEST_S} s") from error
    try:
        told = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        raise NotAudited(f"{said[-1].strip()} (exit code {done.returncode})") from error
    return Answer.of(told)


def _options() -> tuple[str, ...]:
    usual = ("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off")
    service = os.environ.get(SERVICE, "pypi")
    if service.startswith("http"):
        return (*usual, "--vulnerability-service=osv", f"--osv-url={service}")
    return (*usual, f"--vulnerability-service={service}")


def _is_the_weak_one(package: dict[str, Any]) -> bool:
    return (package["name"], package.get("version")) == KNOWN_TO_BE_WEAK


def _weakness(package: dict[str, Any], told: dict[str, Any]) -> Weakness:
    return Weakness(
        package["name"], package["version"], told["id"], tuple(told.get("aliases", ())), tuple(told["fix_versions"])
    )
