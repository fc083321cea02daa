"""Kustomizations to documents, by kubectl or kustomize, which are asked to write text and nothing else.

A machine may have neither. So what the two overlays render to is kept beside them, with the digest of the files that it
was made of: there it is read, and refused when it is not of these files.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from deploy.checks.documents import Documents

K8S = Path(__file__).parents[1] / "k8s"
KEPT = {K8S / "overlays" / name: K8S / "rendered" / f"{name}.yaml" for name in ("cpu", "gpu")}
_MADE_OF = ("base", "broker", "overlays")
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_MISSING = "neither kubectl nor kustomize is installed: one of them renders the kustomizations (kubectl 1.27 or later)"


class NotRendered(Exception):
    """The kustomization can't be rendered, here or at all."""


def renderer() -> tuple[str, ...] | None:
    """Return the command that renders; None when there is none."""
    if kustomize := shutil.which("kustomize"):
        return (kustomize, "build")
    if kubectl := shutil.which("kubectl"):
        return (kubectl, "kustomize")
    return None


def render(kustomization: Path) -> Documents:
    """Render a directory with a kustomization; without kubectl, read what is kept of it. Raises NotRendered."""
    if renderer() is None and kustomization in KEPT:
        return read_kept(kustomization)
    return _documents(_text(kustomization))


def read_kept(overlay: Path) -> Documents:
    """Return what an overlay rendered to when that was last kept. Raises NotRendered when it has changed since."""
    text = KEPT[overlay].read_text() if KEPT[overlay].exists() else ""
    if not text.startswith(_heading()):
        raise NotRendered(f"{KEPT[overlay]} was made of other files than deploy/k8s has now: run `make manifests`")
    return _documents(text)


def keep() -> None:
    """Write what the overlays render to. Raises NotRendered."""
    for overlay, path in KEPT.items():
        text = _text(overlay)
        path.parent.mkdir(exist_ok=True)
        path.write_text(_heading() + text)


def _heading() -> str:
    """Say what a kept rendering is, and which files it was made of."""
    files = sorted(path for folder in _MADE_OF for path in (K8S / folder).rglob("*") if path.is_file())
    digests = (f"{path.relative_to(K8S)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return f"# Made by `make manifests`, for checks on machines without kubectl; of files with the digest\n# {digest}\n"


def _text(kustomization: Path) -> str:
    command = renderer()
    if command is None:
        raise NotRendered(_MISSING)
    if not any((kustomization / name).is_file() for name in _NAMES):
        raise NotRendered(
            f"{kustomization} holds no {_NAMES[0]}: name a directory that does, such as {next(iter(KEPT))}"
        )
    done = subprocess.run([*command, str(kustomization)], capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    if done.returncode != 0:
        raise NotRendered(f"{kustomization}: {done.stderr.strip()}")
    return done.stdout


def _documents(text: str) -> Documents:
    return Documents([one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one])


if __name__ == "__main__":
    try:
        keep()
    except NotRendered as error:
        sys.exit(str(error))
