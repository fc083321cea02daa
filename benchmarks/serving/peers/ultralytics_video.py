"""ultralytics' stream predict over a video; one line of JSON at the end."""

from __future__ import annotations

import argparse
import json
import time

from benchmarks.serving.peers.ultralytics_model import ASKED, open_model


def main() -> None:
    """Go through a video; with --detections, also say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", required=True)
    parser.add_argument("--video", required=True)
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--detections", action="store_true")
    told = parser.parse_args()
    model = open_model(told.graph)
    began, frames, seen = time.perf_counter(), 0, []
    for result in model.predict(told.video, stream=True, vid_stride=told.every, **ASKED):
        frames += 1
        if told.detections:
            boxes = result.boxes
            seen.append(list(zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), strict=True)))
    print(json.dumps({"seconds": time.perf_counter() - began, "frames": frames, "detections": seen}))


if __name__ == "__main__":
    main()
