"""How far a format may be from the trained weights, and what may go out unproven.

A limit or a permission is set for a format's name, for a family with a precision, or for a precision: the most
specific one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from labelstream.events.model import Agreement, AgreementLimits
from labelstream.formats import PRECISIONS, Format

# Where two boxes of one find are nearly as good, another one wins the suppression, and the pair that is compared
# differs by more than any number did: pixels and scores leave room for that. Boxes without a partner and lost mAP
# betray a format that is broken. Measured on drawn scenes and photographs; docs/models.md has the figures.
_HALF = AgreementLimits(max_box_px=12.0, max_score=0.12, max_unmatched=0.02, max_map_drop=0.01)

DEFAULTS: Mapping[str, AgreementLimits] = MappingProxyType({
    "fp32": AgreementLimits(max_box_px=1.0, max_score=0.01, max_unmatched=0.0, max_map_drop=0.005),
    "fp16": _HALF,
    "bf16": _HALF,
    "int8": AgreementLimits(max_box_px=24.0, max_score=0.4, max_unmatched=0.1, max_map_drop=0.03),
})  # fmt: skip


def names_of(wanted: Format) -> tuple[str, ...]:
    """Return by which names something may be set for a format, the most specific first."""
    return wanted.name, f"{wanted.family}-{wanted.precision}", wanted.precision


def limits_of(wanted: Format, own: Mapping[str, AgreementLimits]) -> AgreementLimits:
    """Return what a format is held to: `own` limits by the most specific name, else the default of its precision."""
    return next((own[name] for name in names_of(wanted) if name in own), DEFAULTS[wanted.precision])


def may_be_unproven(wanted: Format, allowed: Collection[str]) -> bool:
    """Say whether a format may be published although nobody could run it."""
    return any(name in allowed for name in names_of(wanted))


def require_known(names: Collection[str]) -> None:
    """Raise ValueError for a name that no format answers to: what it sets would never be looked at."""
    known: set[str] = {precision for precisions in PRECISIONS.values() for precision in precisions}
    known |= {f"{family}-{precision}" for family, precisions in PRECISIONS.items() for precision in precisions}
    for name in sorted(set(names) - known):
        try:
            Format.parse(name)
        except ValueError as error:
            raise ValueError(f"{error}; a precision such as int8 may be named, too") from error


def shows_nothing(agreement: Agreement, limits: AgreementLimits) -> bool:
    """Say whether a file that finds nothing at all would agree as well: then agreeing proves nothing."""
    return agreement.boxes == 0 and (agreement.trained_map50_95 or 0.0) <= limits.max_map_drop


def disagreement(agreement: Agreement, limits: AgreementLimits) -> str | None:
    """Say by how much a format disagrees with the trained weights; None when it is within the limits."""
    found = []
    unmatched = agreement.unmatched / max(1, agreement.boxes)
    if unmatched > limits.max_unmatched:
        found.append(_unmatched(agreement, limits))
    if agreement.max_box_px > limits.max_box_px:
        found.append(f"a corner differs by {agreement.max_box_px:.3f} px, more than {limits.max_box_px} px")
    if agreement.max_score > limits.max_score:
        found.append(f"a score differs by {agreement.max_score:.4f}, more than {limits.max_score}")
    if agreement.map50_95 is not None and agreement.trained_map50_95 is not None:
        drop = agreement.trained_map50_95 - agreement.map50_95
        if drop > limits.max_map_drop:
            found.append(
                f"mAP50-95 falls from {agreement.trained_map50_95:.3f} to {agreement.map50_95:.3f}, "
                f"by more than {limits.max_map_drop}"
            )
    return "; ".join(found) or None


def _unmatched(agreement: Agreement, limits: AgreementLimits) -> str:
    allowed = f", more than {limits.max_unmatched:.0%}" if limits.max_unmatched else ""
    return f"{agreement.unmatched} of {agreement.boxes} boxes have no partner{allowed}"
