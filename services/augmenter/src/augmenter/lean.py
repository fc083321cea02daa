"""albumentations, imported leanly: without asking the network for its newest version, and without torch.

It imports torch wherever that is installed, for a conversion that nobody here uses: two thirds of a
worker's start, and a hundred megabytes in each.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

_torch = sys.modules.get("torch")
sys.modules.setdefault("torch", None)  # type: ignore[arg-type]  # None makes its import an ImportError
try:
    import albumentations
finally:
    if _torch is None:
        del sys.modules["torch"]

__all__ = ["albumentations"]
