from __future__ import annotations

import subprocess
import sys


def test_scoring_imports_neither_torch_nor_opencv_nor_ultralytics():
    code = (
        "import sys, labelstream_yolo.scoring.measuring, labelstream_yolo.scoring.summary;"
        "sys.exit(', '.join({'torch', 'cv2', 'ultralytics', 'scipy', 'pycocotools'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
