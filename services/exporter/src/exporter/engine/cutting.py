"""Where a detector's graph can be cut: after its last convolutions, and before boxes and scores are joined.

What lies between is the decoding, a few cheap operations on large numbers (pixels of the square): in eight bits a step
of them is pixels wide, in float16 up to a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from exporter.engine.adapters.contract import UnbuildableError
from exporter.engine.adapters.graph import OUTPUT


@dataclass(frozen=True)
class Cuts:
    """The tensors and nodes of a graph's end, by name."""

    boxes: str  # (b, 4, n), decoded
    scores: str  # (b, classes, n)
    of_boxes: tuple[str, ...]  # what the last convolutions of the boxes give, one for each scale
    of_scores: tuple[str, ...]
    decoding: frozenset[str]  # tensors that are made after the last convolutions, the output among them


def cuts_of(graph: Path) -> Cuts:
    """Find the cuts of a graph that `export_graph` wrote. Raises UnbuildableError for one of another shape."""
    return cuts_in(onnx.load(graph, load_external_data=False))


def cuts_in(model: Any) -> Cuts:
    """Find the cuts of an ONNX model. Raises UnbuildableError."""
    makers = {tensor: node for node in model.graph.node for tensor in node.output}
    last = makers.get(OUTPUT)
    if last is None or last.op_type != "Concat" or len(last.input) != 2:
        made = f"{last.op_type} of {len(last.input)}" if last is not None else "nothing"
        raise UnbuildableError(f"the graph's end is no Concat of boxes and scores but {made}: its head is not known")
    boxes, scores = last.input
    of_boxes, decoding_boxes = _back_to_convolutions(boxes, makers)
    of_scores, decoding_scores = _back_to_convolutions(scores, makers)
    return Cuts(boxes, scores, of_boxes, of_scores, frozenset({OUTPUT, *decoding_boxes, *decoding_scores}))


def _back_to_convolutions(tensor: str, makers: dict[str, Any]) -> tuple[tuple[str, ...], set[str]]:
    """Walk back from a tensor; return what the first convolutions on the way give, and what is made after them."""
    found, passed, ahead = [], set(), [tensor]
    while ahead:
        name = ahead.pop()
        node = makers.get(name)
        if node is None or name in passed or name in found:
            continue
        if node.op_type == "Conv" and not _is_weighted_mean(node, makers):
            found.append(name)
        else:
            passed.update(node.output)
            ahead.extend(node.input)
    return tuple(sorted(found)), passed


def _is_weighted_mean(convolution: Any, makers: dict[str, Any]) -> bool:
    """Tell the convolution that makes a distance of a distribution: it belongs to the decoding."""
    before = makers.get(convolution.input[0])
    return before is not None and before.op_type in ("Softmax", "Transpose")  # a Transpose may stand between
