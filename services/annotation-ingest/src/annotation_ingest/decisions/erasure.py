"""Decides what an erasure removes."""

from __future__ import annotations

from annotation_ingest.decisions.trust import Trust
from labelstream.errors import Rejected
from labelstream.view import AnnotationView, ToErase
from labelstream.wire.submission import Submission

MOST_BYTES = 600_000  # of names and digests in one event, which has to fit into a frame of 1 MiB


def decide_erasure(view: AnnotationView, trust: Trust, submission: Submission) -> ToErase:
    """Return what a request to erase concerns. Raises Rejected when it may not be made, or concerns nothing."""
    trust.check(submission.kind)
    concerned = view.to_erase(trust.project, submission.names, submission.medium, MOST_BYTES)
    if not concerned.names:
        what = "no annotation of this medium" if submission.medium else "none of these annotations"
        raise Rejected(
            "erasure.nothing",
            f"{what} is known in the project {trust.project}",
            "Compare the names, the medium and the project; what was erased before is not there any more.",
        )
    return concerned
