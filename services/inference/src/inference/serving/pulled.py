"""A pulled directory becomes a model that answers, without a network."""

from __future__ import annotations

from pathlib import Path

from inference.serving.loading import Loader
from inference.serving.models import ServingModel
from labelstream.bundle import MANIFEST
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.checking import Trust, check_promotion_beside
from labelstream.protection.pulled import GRANT, Pulled

UNPROMOTED = 0


def open_pulled(loader: Loader, directory: Path) -> ServingModel:
    """Verify, open and prove what `labelstream models pull` wrote.

    Raises Misconfigured when it wrote nothing there, Rejected when what lies there is not to be believed or opened.
    """
    pulled = Pulled(directory)
    if not pulled.is_whole:
        raise Misconfigured(f"{directory} is not what `labelstream models pull` writes: {_what_it_is(directory)}")
    verified = loader.verify(pulled.bundle)
    promotion, number = pulled.promotion, UNPROMOTED
    if promotion is not None:
        number = check_promotion_beside(promotion, verified, Trust(loader.trusted_keys)).number
    grant = pulled.grant
    if grant is None:
        raise Rejected("grant.missing", f"there is no {GRANT} in {directory}", "Pull the model again")
    return loader.open(verified, grant, number)


def _what_it_is(directory: Path) -> str:
    if not directory.exists():
        return "there is no such directory"
    if (directory / MANIFEST).is_file():
        return "it is a bundle alone, and the grant that opens it lies beside it in the directory that was pulled"
    return "there is no whole bundle in it"
