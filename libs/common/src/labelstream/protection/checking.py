"""Checking a bundle, or a pulled directory, offline: one check after the other, each with what it showed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from labelstream.bundle import MANIFEST, GrantContent, Manifest, SealedFile
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.protection.grants import check_grant, open_grant, to_the_minute
from labelstream.protection.opening import VerifiedBundle
from labelstream.protection.promotions import PromotionStatement, check_promotion
from labelstream.protection.pulled import GRANT, PROMOTION, Pulled, PulledPromotion
from labelstream.protection.signing_keys import load_public_key
from labelstream.protection.verifying import (
    check_classes,
    check_consistency,
    check_small_parts,
    signed_manifest,
    verify_files,
)

T = TypeVar("T")
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    outcome: Outcome
    detail: str
    rule: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Trust:
    """What a checker believes before it looks."""

    public_keys: Sequence[Path]
    identity: str | None = field(default=None, repr=False)  # the device's; without it nothing is opened
    above: int = 0  # a promotion must have a higher number
    classes: ClassSchema | None = None  # what the ids of the project mean


@dataclass
class Checked:
    """What was looked at, in order."""

    directory: Path
    manifest: Manifest | None = None
    key: Path | None = None  # the trusted one that the signature was made with
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether nothing failed."""
        return all(check.outcome != "failed" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "ok": self.ok,
            "directory": str(self.directory),
            "key": str(self.key) if self.key else None,
            "project": self.manifest.project if self.manifest else None,
            "model": self.manifest.model if self.manifest else None,
            "checks": [vars(check) for check in self.checks],
        }

    def look(self, name: str, work: Callable[[], T], tell: Callable[[T], str]) -> T | None:
        """Make a check: `work` raises Rejected, or returns what `tell` puts in words; None when it failed."""
        try:
            shown = work()
        except Rejected as refusal:
            self.checks.append(Check(name, "failed", refusal.reason, refusal.rule, refusal.hint))
            return None
        self.checks.append(Check(name, "passed", tell(shown)))
        return shown

    def skip(self, names: Sequence[str], why: str) -> None:
        """Say which checks were not made."""
        self.checks += [Check(name, "skipped", why) for name in names]


@dataclass(frozen=True)
class _Signed:
    """A bundle whose signature holds, and whose manifest can be read."""

    verified: VerifiedBundle
    digests: dict[str, str]  # by file name

    @property
    def manifest(self) -> Manifest:
        return self.verified.manifest


def checked(directory: Path, trust: Trust, *, now_ms: int) -> Checked:
    """Check a pulled directory, or a bundle alone. Raises Misconfigured when a trusted key can't be read."""
    alone = (directory / MANIFEST).exists()
    found = Checked(directory)
    signed = _look_at_bundle(found, directory if alone else Pulled(directory).bundle, trust)
    if signed is None:
        found.skip(("files", "classes", "promotion", "grant", "contents"), "needs a signed manifest")
        return found
    found.manifest = signed.manifest
    consistent = found.look("files", lambda: _consistent(signed), ", ".join)
    _look_at_classes(found, signed.manifest, trust.classes)
    _look_at_promotion(found, signed, None if alone else Pulled(directory), trust)
    grant = _look_at_grant(found, signed.manifest, None if alone else Pulled(directory), trust, now_ms)
    if grant is None or not consistent:
        found.skip(("contents",), "needs a grant that opens, and files that are those of the manifest")
    else:
        _look_at_contents(found, signed.verified, grant.identity)
    return found


def _look_at_bundle(found: Checked, bundle: Path, trust: Trust) -> _Signed | None:
    signed = found.look(
        "signature",
        lambda: _verified(bundle, trust.public_keys),
        lambda shown: f"{len(shown[0])} files are as they were signed, with a trusted key",
    )
    if signed is None:
        found.skip(("manifest",), "needs a signature that holds")
        return None
    digests, found.key = signed
    manifest = found.look(
        "manifest",
        lambda: signed_manifest(bundle, digests),
        lambda read: f"{read.bundle}: model {read.model} of {read.project}, edition {read.edition}",
    )
    return None if manifest is None else _Signed(VerifiedBundle(bundle, manifest, digests[MANIFEST]), digests)


def _verified(bundle: Path, keys: Sequence[Path]) -> tuple[dict[str, str], Path]:
    """Return the digests of the files, and the key that signed them. Raises Rejected, Misconfigured."""
    for key in keys:
        load_public_key(key)  # each must be one, also those behind the right one
    for key in keys[:-1]:
        try:
            return verify_files(bundle, [key]), key
        except Rejected as refusal:  # a stranger's key is told before any file is read
            if refusal.rule != "signature.foreign_key":
                raise
    return verify_files(bundle, keys), keys[-1]


def _consistent(signed: _Signed) -> list[str]:
    check_consistency(signed.manifest, signed.digests)
    return sorted(signed.digests)


def _look_at_classes(found: Checked, manifest: Manifest, known: ClassSchema | None) -> None:
    if known is None:
        found.skip(("classes",), "no class schema was given to compare with")
        return
    count = len(manifest.class_schema.classes)
    found.look("classes", lambda: check_classes(manifest, known), lambda _: f"{count}, which mean what they should")


def _look_at_promotion(found: Checked, signed: _Signed, pulled: Pulled | None, trust: Trust) -> None:
    if pulled is None and not trust.above:
        found.skip(("promotion",), "this is a bundle alone")
        return

    def check() -> PromotionStatement | None:
        promotion = _beside(pulled) if pulled else None
        if promotion is not None:
            return check_promotion_beside(promotion, signed.verified, trust)
        if not trust.above:
            return None
        raise Rejected("promotion.missing", f"there is no {PROMOTION} here", "Pull the model again")

    found.look("promotion", check, _promotion_in_words)


def _beside(pulled: Pulled) -> PulledPromotion | None:
    try:
        return pulled.promotion
    except Rejected as refusal:
        raise Rejected(refusal.rule, f"{PROMOTION} is cut off, or holds no promotion", refusal.hint) from refusal


def check_promotion_beside(promotion: PulledPromotion, verified: VerifiedBundle, trust: Trust) -> PromotionStatement:
    """Return what the promotion beside a bundle says: it is signed, and of this very manifest. Raises Rejected."""
    said = check_promotion(
        promotion.statement,
        promotion.statement_signature,
        trust.public_keys,
        project=verified.manifest.project,
        above=trust.above,
    )
    if (said.model, said.manifest_sha256) != (verified.manifest.model, verified.manifest_sha256):
        reason = f"promotion {said.number} is of {said.model}, with another manifest than the one here"
        raise Rejected("promotion.other_model", reason, "Pull the model again")
    return said


def _promotion_in_words(said: PromotionStatement | None) -> str:
    if said is None:
        return "the model was not promoted when it was pulled"
    return f"number {said.number}, signed with a trusted key, of this very manifest"


def _look_at_grant(
    found: Checked, manifest: Manifest, pulled: Pulled | None, trust: Trust, now_ms: int
) -> GrantContent | None:
    sealed, identity = pulled.grant if pulled else None, trust.identity
    if sealed is None:
        found.skip(("grant",), f"there is no {GRANT} here")
        return None
    if identity is None:
        found.skip(("grant",), "only the device's key opens it: give it with --identity")
        return None
    return found.look("grant", lambda: _grant(sealed, identity, manifest, now_ms), _grant_in_words)


def _grant(sealed: bytes, identity: str, manifest: Manifest, now_ms: int) -> GrantContent:
    content = open_grant(sealed, identity, now_ms=now_ms)
    check_grant(content, model=manifest.model, project=manifest.project)
    check_small_parts(manifest, content.small_parts)
    return content


def _grant_in_words(content: GrantContent) -> str:
    ends = content.expires_ms
    return f"of {content.device}, {'without an end' if ends is None else f'until {to_the_minute(ends)}'}"


def _opened_in_words(file: SealedFile, _: None) -> str:
    return f"opens: {file.plain_bytes} bytes, with the digest in the manifest"


def _look_at_contents(found: Checked, verified: VerifiedBundle, identity: str) -> None:
    for artifact in verified.manifest.artifacts:
        found.look(
            artifact.file,
            partial(verified.prove, identity, artifact),
            partial(_opened_in_words, artifact),
        )
    golden = verified.manifest.golden
    found.look(
        golden.file,
        lambda: verified.open_golden(identity),
        lambda opened: f"opens: {len(opened.images)} golden images",
    )
