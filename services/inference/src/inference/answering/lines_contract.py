"""What the OpenAPI document says of batches and videos: bodies, lines and examples."""

from __future__ import annotations

from typing import Any

from inference.answering.contract import problems

_BINARY = {"type": "string", "format": "binary"}
_PREDICTION = {
    "model": "m-2031",
    "project": "default",
    "promotion": 7,
    "artifact": "openvino-int8-u8",
    "image": {"width": 640, "height": 480},
    "detections": [{"class": 0, "name": "RBC", "confidence": 0.91, "box": {"x1": 10, "y1": 20, "x2": 90, "y2": 99}}],
}
_PROBLEM = {
    "type": "urn:labelstream:rule:image.damaged",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "the image can't be decoded: the decoder gave nothing back",
    "rule": "image.damaged",
    "hint": "Save it again and send the new file.",
}
_STATUSES = (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 503)
STREAM_PROBLEMS = problems(*_STATUSES)


def object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of these members."""
    return {"type": "object", "required": list(properties), "properties": properties}


def one_of(*variants: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one line that is one of these."""
    return {"description": "one line", "anyOf": list(variants)}


WHOLE, REAL = {"type": "integer", "minimum": 0}, {"type": "number", "minimum": 0}
PROBLEM_LINE = {"type": "object", "description": "a problem (RFC 9457), as the members of `Problem`"}
PREDICTED = {"$ref": "#/components/schemas/Prediction"}

BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "files of a form, or one zip as the body or as the only file of a form",
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "additionalProperties": _BINARY}},
            "application/zip": {"schema": _BINARY},
        },
    }
}
_NAMED = object_of(index=WHOLE, file={"type": "string"})
_BATCH_SUMMARY = object_of(summary=object_of(files=WHOLE, answered=WHOLE, failed=WHOLE, seconds=REAL))
BATCH_ANSWER: dict[str, Any] = {
    "description": "a line for each file, in their order, then a summary",
    "content": {
        "application/x-ndjson": {
            "schema": one_of(
                {"allOf": [_NAMED, PREDICTED]},
                object_of(index=WHOLE, file={"type": "string"}, problem=PROBLEM_LINE),
                _BATCH_SUMMARY,
            ),
            "examples": {
                "answer": {"value": {"index": 0, "file": "a.jpg", **_PREDICTION}},
                "problem": {"value": {"index": 1, "file": "b.jpg", "problem": _PROBLEM}},
                "summary": {"value": {"summary": {"files": 2, "answered": 1, "failed": 1, "seconds": 0.05}}},
            },
        }
    },
}

_VIDEO_TYPES = ("video/mp4", "video/x-matroska", "video/webm", "video/quicktime", "video/x-msvideo", "video/mp2t")
VIDEO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "a video, as the body or as the only file of a form",
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "additionalProperties": _BINARY}},
            **{kind: {"schema": _BINARY} for kind in (*_VIDEO_TYPES, "application/octet-stream")},
        },
    }
}
_TIMED = object_of(frame=WHOLE, time_s=REAL)
_VIDEO_SUMMARY = object_of(
    summary=object_of(frames=WHOLE, answered=WHOLE, failed=WHOLE, seconds=REAL, complete={"type": "boolean"})
)
_SUMMARY = '{"summary":{"frames":120,"answered":30,"failed":0,"seconds":1.2,"complete":true}}'
VIDEO_ANSWER: dict[str, Any] = {
    "description": "a line, or an event, for each frame that was looked at, in their order, then a summary",
    "content": {
        "application/x-ndjson": {
            "schema": one_of(
                {"allOf": [_TIMED, PREDICTED]},
                object_of(frame=WHOLE, time_s=REAL, problem=PROBLEM_LINE),
                object_of(problem=PROBLEM_LINE),
                _VIDEO_SUMMARY,
            ),
            "examples": {
                "answer": {"value": {"frame": 4, "time_s": 0.133333, **_PREDICTION}},
                "early end": {"value": {"problem": {**_PROBLEM, "rule": "video.damaged"}}},
                "summary": {"value": {"summary": {"frames": 120, "answered": 30, "failed": 0, "seconds": 1.2}}},
            },
        },
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": f"id: 4\nevent: frame\ndata: {{…}}\n\nevent: summary\ndata: {_SUMMARY}\n\n",
        },
    },
}
