"""Which artifacts of a bundle may answer here, as far as the manifest tells, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.engine.inputs import INPUTS
from inference.engine.outputs import OUTPUTS, SUPPRESSED
from labelstream.bundle import Artifact, Manifest

Lacking = Callable[[Artifact], str | None]  # why an artifact can't be run here

# The likely fastest come first: whoever is raced against them is given up early. The measurement decides.
_FAMILIES = ("tensorrt", "openvino", "onnx")
_PRECISIONS = ("int8", "bf16", "fp16", "fp32")


@dataclass(frozen=True)
class Candidates:
    """What may be opened; a later group is looked at when nothing of the earlier ones answers."""

    groups: tuple[tuple[Artifact, ...], ...]
    refused: dict[str, str]  # why not, by the artifact's name


def candidates(manifest: Manifest, names: Sequence[str], lacking: Lacking) -> Candidates:
    """Sort the artifacts of a bundle: `names` are those that may be used, none are all.

    Proved ones stand before others, which are looked at only when no proved one runs here. Graphs that suppress
    overlaps come last: a request can only ask them for less than the thresholds that are built into them.
    """
    refused = {each.name: why for each in manifest.artifacts if (why := _problem(each, names) or lacking(each))}
    runs = sorted((each for each in manifest.artifacts if each.name not in refused), key=_rank)
    proved = [each for each in runs if each.agreement]
    if proved:
        refused |= {each.name: _unproven(each) for each in runs if not each.agreement}
    chosen = proved or runs
    raw = tuple(each for each in chosen if each.output != SUPPRESSED)
    suppressed = tuple(each for each in chosen if each.output == SUPPRESSED)
    return Candidates(tuple(group for group in (raw, suppressed) if group), refused)


def _problem(artifact: Artifact, names: Sequence[str]) -> str | None:
    if names and artifact.name not in names:
        return f"the setting ARTIFACTS names only {', '.join(names)}"
    if artifact.input not in INPUTS:
        return f"it takes {artifact.input!r}, and known are {', '.join(INPUTS)}"
    if artifact.output not in OUTPUTS:
        return f"it answers {artifact.output!r}, and known are {', '.join(OUTPUTS)}"
    return _disagreement(artifact)


def _disagreement(artifact: Artifact) -> str | None:
    """Say where an artifact differs from the trained weights by more than its own limits."""
    agreement, limits = artifact.agreement, artifact.limits
    if agreement is None or limits is None:
        return None
    if agreement.max_box_px > limits.max_box_px:
        return f"its boxes differ by {agreement.max_box_px:.3f} px, and {limits.max_box_px} px are allowed"
    if agreement.max_score > limits.max_score:
        return f"its scores differ by {agreement.max_score:.4f}, and {limits.max_score} is allowed"
    if agreement.unmatched > limits.max_unmatched * max(1, agreement.boxes):
        return f"{agreement.unmatched} of {agreement.boxes} boxes have no partner, and {limits.max_unmatched:.0%} may"
    lost = (agreement.trained_map50_95 or 0.0) - (agreement.map50_95 or 0.0)
    if agreement.map50_95 is not None and lost > limits.max_map_drop:
        return f"mAP50-95 falls by {lost:.3f}, and {limits.max_map_drop} is allowed"
    return None


def _unproven(artifact: Artifact) -> str:
    return f"its agreement was not proved ({artifact.unproven or 'it was not run'}), and another one's was"


def _rank(artifact: Artifact) -> tuple[int, ...]:
    return (
        _place(_PRECISIONS, artifact.precision),
        _place(_FAMILIES, artifact.format),
        int(not artifact.input.startswith("uint8")),
        artifact.batch or 0,
    )


def _place(order: Sequence[str], word: str) -> int:
    return order.index(word) if word in order else len(order)
