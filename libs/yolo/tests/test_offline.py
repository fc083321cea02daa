from __future__ import annotations

import subprocess
import sys

SLOW = """
import sys
from pathlib import Path
from labelstream_yolo.offline import prepare_ultralytics
prepare_ultralytics(Path(sys.argv[1]), threads=1)
import time, torch
from ultralytics.utils import nms
clock = iter(range(0, 100_000, 60))
nms.time.time = lambda: next(clock)  # a minute between any two looks at the clock, as on a machine that is far too busy
boxes = torch.tensor([[[50.0, 50.0, 20.0, 20.0, 0.9]]]).transpose(1, 2).repeat(4, 1, 1)
found = nms.non_max_suppression(boxes, 0.25, 0.7)
assert [len(each) for each in found] == [1, 1, 1, 1], found
"""


def test_no_image_of_a_batch_loses_its_boxes_because_the_machine_is_busy(tmp_path):
    subprocess.run([sys.executable, "-c", SLOW, str(tmp_path)], check=True)
