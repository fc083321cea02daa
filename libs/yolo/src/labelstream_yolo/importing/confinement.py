"""What the process gives up that reads a stranger's weights: new sockets, and files larger than any detector."""

from __future__ import annotations

import resource

from labelstream import confinement

MOST_BYTES_WRITTEN = 4 << 30  # of one file: no detector is larger


def confine() -> bool:
    """Give them up for good; say whether that was possible for sockets, too."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES_WRITTEN, MOST_BYTES_WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return confinement.confine()
