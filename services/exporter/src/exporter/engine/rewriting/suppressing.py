"""Puts non-maximum suppression at the end of a graph with raw output."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import compose, parser

from exporter.engine.adapters.contract import MAX_DETECTIONS

# Each candidate counts in its best class only; each class of each image is suppressed alone. ONNX's own operator knows
# batches, centres with sizes, and gives (image, class, candidate) of what stays.
_GRAPH = """
<ir_version: {ir}, opset_import: ["": {opset}]>
suppress (float[{batch}, {channels}, {candidates}] raw) => (float[{batch}, {kept}, 6] detections) {{
    from_0 = Constant <value = int64[1] {{0}}> ()
    from_4 = Constant <value = int64[1] {{4}}> ()
    to_end = Constant <value = int64[1] {{{channels}}}> ()
    axis_1 = Constant <value = int64[1] {{1}}> ()
    axis_2 = Constant <value = int64[1] {{2}}> ()
    most = Constant <value = int64[1] {{{kept}}}> ()
    which = Constant <value = int64[2] {{0, 2}}> ()
    four = Constant <value = int64[3] {{1, 1, 4}}> ()
    none = Constant <value = float {{0.0}}> ()
    half = Constant <value = float {{0.5}}> ()
    overlap = Constant <value = float[1] {{{iou!r}}}> ()
    confidence = Constant <value = float[1] {{{confidence!r}}}> ()

    centred = Slice (raw, from_0, from_4, axis_1)
    scores = Slice (raw, from_4, to_end, axis_1)
    boxes = Transpose <perm = [0, 2, 1]> (centred)
    best_of_all = ReduceMax <keepdims = 1> (scores, axis_1)
    is_best = Equal (scores, best_of_all)
    only_best = Where (is_best, scores, none)
    stays = NonMaxSuppression <center_point_box = 1> (boxes, only_best, most, overlap, confidence)
    places = Gather <axis = 1> (stays, which)
    best = Squeeze (best_of_all, axis_1)
    nothing = Mul (best, none)
    staying = GatherND (best, places)
    left = ScatterND (nothing, places, staying)
    top, order = TopK <axis = 1, largest = 1, sorted = 1> (left, most)

    middles = Slice (boxes, from_0, axis_2, axis_2)
    sizes = Slice (boxes, axis_2, from_4, axis_2)
    reach = Mul (sizes, half)
    low = Sub (middles, reach)
    high = Add (middles, reach)
    corners = Concat <axis = 2> (low, high)
    column = Unsqueeze (order, axis_2)
    columns = Tile (column, four)
    top_corners = GatherElements <axis = 1> (corners, columns)
    labels = ArgMax <axis = 1, keepdims = 0> (scores)
    label_numbers = Cast <to = 1> (labels)
    top_labels = GatherElements <axis = 1> (label_numbers, order)
    score_column = Unsqueeze (top, axis_2)
    label_column = Unsqueeze (top_labels, axis_2)
    rows = Concat <axis = 2> (top_corners, score_column, label_column)
    there = Greater (score_column, none)
    zeros = Mul (rows, none)
    detections = Where (there, rows, zeros)
}}
"""


def suppress_in_graph(path: Path, confidence: float, iou: float) -> None:
    """Turn (b, 4 + classes, n) into (b, max detections, 6): corners, score, class; best first, zeros at the end."""
    model = onnx.load(path)
    raw = model.graph.output[0]
    batch, channels, candidates = raw.type.tensor_type.shape.dim
    suppression = parser.parse_model(
        _GRAPH.format(
            ir=model.ir_version,
            opset=model.opset_import[0].version,
            batch=batch.dim_value or batch.dim_param,
            channels=channels.dim_value,
            candidates=candidates.dim_value,
            kept=min(MAX_DETECTIONS, candidates.dim_value),
            iou=float(iou),
            confidence=float(confidence),
        )
    )
    merged = compose.merge_models(
        model, compose.add_prefix(suppression, "nms/", rename_outputs=False), io_map=[(raw.name, "nms/raw")]
    )
    merged.producer_name, merged.producer_version = model.producer_name, model.producer_version
    del merged.metadata_props[:]
    merged.metadata_props.extend(model.metadata_props)
    onnx.checker.check_model(merged, full_check=True)
    onnx.save(merged, path)
