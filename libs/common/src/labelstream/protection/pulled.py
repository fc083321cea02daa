"""A pulled directory: everything that a device needs to run a model without a network, and nothing secret.

    bundle/          the signed directory: manifest, signature, report, whole sealed files
    promotion.json   the signed promotion, if the model was promoted
    grant.age        the grant that was sealed to this device
    README.txt       what this is, for people

`bundle/` is moved in last: where it lies, everything is there and was verified.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from labelstream.bundle import MANIFEST
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.promotions import PromotionStatement
from labelstream.values import Value

BUNDLE, PROMOTION, GRANT, README = "bundle", "promotion.json", "grant.age", "README.txt"
_COMING, _GOING, _LOCK, _HIGHEST = ".pulling", ".replaced", ".lock", ".highest.json"

ABOUT = """\
This directory holds one model of Labelstream, sealed for one device.

bundle/          the signed directory; every weight in it is encrypted
promotion.json   the signed statement that the model serves, if it was promoted
grant.age        what lets the device open the bundle; only the device's own key opens it

Check it, without a network:

    labelstream models verify . --key SIGNING-KEY.pub --identity DEVICE.age-identity
    python -m model_signing verify key bundle --signature bundle/model.sig \\
        --public_key SIGNING-KEY.pub --no-ignore-git-paths

The device's private key does not belong in here.
"""


class PulledPromotion(Value):
    """What `promotion.json` holds."""

    statement: str = Field(description="the signed JSON")
    statement_signature: str = Field(description="ECDSA P-256 over the statement's bytes, base64")

    def said(self) -> PromotionStatement | None:
        """Return what the statement says, whoever signed it; None when it is no promotion."""
        try:
            return PromotionStatement.model_validate_json(self.statement)
        except ValidationError:
            return None


@dataclass(frozen=True)
class Pulled:
    """The places in a pulled directory."""

    root: Path

    @property
    def bundle(self) -> Path:
        """The signed directory."""
        return self.root / BUNDLE

    @property
    def promotion(self) -> PulledPromotion | None:
        """The promotion beside the bundle. Raises Rejected when it is not in its form."""
        path = self.root / PROMOTION
        try:
            return PulledPromotion.model_validate_json(path.read_bytes()) if path.exists() else None
        except ValidationError as error:
            raise Rejected(
                "promotion.malformed", f"{PROMOTION} holds no promotion: {error}", "Pull the model again"
            ) from error

    def promotion_or_none(self) -> PulledPromotion | None:
        """Return the promotion beside the bundle; none where it is not in its form."""
        try:
            return self.promotion
        except Rejected:
            return None

    def said(self) -> PromotionStatement | None:
        """Return what the promotion beside the bundle says, whoever signed it."""
        promotion = self.promotion_or_none()
        return promotion.said() if promotion else None

    @property
    def grant(self) -> bytes | None:
        """The sealed grant beside the bundle."""
        path = self.root / GRANT
        return path.read_bytes() if path.exists() else None

    def highest(self, project: str) -> int:
        """Return the highest promotion of a project that was ever pulled as what serves; 0: none."""
        try:
            known = json.loads((self.root / _HIGHEST).read_text(encoding="utf-8"))
            return int(known.get(project, 0))
        except (FileNotFoundError, ValueError, TypeError, AttributeError):  # as good as none
            return 0

    @property
    def is_whole(self) -> bool:
        """Say whether a pull into this directory has ended."""
        return (self.bundle / MANIFEST).is_file()


@dataclass(frozen=True)
class Arriving:
    """A pull that has not ended: what it brings lies apart until `put_in_place`."""

    pulled: Pulled

    @property
    def bundle(self) -> Path:
        """Where the new bundle is put together."""
        return self._coming / BUNDLE

    @property
    def _coming(self) -> Path:
        return self.pulled.root / _COMING

    def begin(self) -> None:
        """Make an empty directory for a new bundle."""
        self.bundle.mkdir(parents=True)

    def put_beside(self, grant: bytes, promotion: PulledPromotion | None) -> None:
        """Keep the grant and the promotion that belong to the bundle."""
        self._coming.mkdir(exist_ok=True)
        (self._coming / GRANT).write_bytes(grant)
        if promotion is not None:
            (self._coming / PROMOTION).write_text(promotion.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (self._coming / README).write_text(ABOUT, encoding="utf-8")

    def put_in_place(self) -> None:
        """Replace what lies in the directory by what was brought; the bundle comes last.

        Where no new bundle was brought, the one that lies there stays.
        """
        for path in self._coming.rglob("*"):
            _settle(path)
        root, going = self.pulled.root, self.pulled.root / _GOING
        if self.bundle.exists() and self.pulled.bundle.exists():
            self.pulled.bundle.rename(going)
        for name in (GRANT, PROMOTION, README):
            if (self._coming / name).exists():
                (self._coming / name).replace(root / name)
            else:
                (root / name).unlink(missing_ok=True)
        if self.bundle.exists():
            self.bundle.rename(self.pulled.bundle)

    def remember(self, project: str, number: int) -> None:
        """Never believe a lower promotion as what serves again, whatever is pulled by its name in between."""
        if number <= self.pulled.highest(project):
            return
        unfinished = self.pulled.root / f"{_HIGHEST}.unfinished"
        unfinished.write_text(json.dumps({project: number}) + "\n", encoding="utf-8")
        _settle(unfinished)
        unfinished.replace(self.pulled.root / _HIGHEST)

    def clear(self) -> None:
        """Remove what a pull left that did not end, or what it replaced."""
        for name in (_COMING, _GOING):
            shutil.rmtree(self.pulled.root / name, ignore_errors=True)


@contextmanager
def arriving(root: Path) -> Iterator[Arriving]:
    """Hold a directory for one pull; it is made when it is not there.

    Raises Misconfigured when another pull is at it, it holds what no pull brought, or it can't be written to.
    """
    is_new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(root)
        lock = (root / _LOCK).open("ab")
    except OSError as error:
        raise Misconfigured(f"{root} can't be written to: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(f"another pull is writing to {root}: wait until it has ended") from error
        coming = Arriving(Pulled(root))
        coming.clear()
        try:
            yield coming
        finally:
            coming.clear()
            if is_new and [path.name for path in root.iterdir()] == [_LOCK]:  # nothing came of it
                (root / _LOCK).unlink()
                root.rmdir()


def _refuse_foreign(root: Path) -> None:
    """Raise Misconfigured unless a directory is empty or a pull's: what people keep is not replaced."""
    held = sorted(path.name for path in root.iterdir())
    if held and not {_LOCK, _COMING, _GOING} & set(held):
        shown = ", ".join(held[:3]) + (", …" if len(held) > 3 else "")
        raise Misconfigured(f"{root} holds something else ({shown}): name a directory that is empty or not there")


def _settle(path: Path) -> None:
    """Wait until a file is on the disk: what a power cut leaves must not look whole."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())
