"""Which form of an answer a client gets."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException

from inference.answering.accepting import JPEG, JSON, preferred

CASES = {
    "": JSON,
    "*/*": JSON,
    "image/jpeg": JPEG,
    "image/*": JPEG,
    "image/*, */*;q=0.1": JPEG,
    "application/json, image/jpeg": JSON,
    "application/json;q=0.5, image/jpeg": JPEG,
    "image/jpeg;q=0, */*": JSON,
    "application/*;q=0, */*;q=0.2": JPEG,
    "text/html, */*;q=0.8": JSON,
    "IMAGE/JPEG ; Q=1": JPEG,
    "application/json;q=nan, image/jpeg;q=0.1": JPEG,
}


@pytest.mark.parametrize("accept", sorted(CASES))
def test_the_best_that_is_asked_for_is_chosen(accept: str) -> None:
    assert preferred(accept, (JSON, JPEG)) == CASES[accept]


@pytest.mark.parametrize("accept", ["text/html", "image/png", "*/*;q=0", "image/jpeg;q=0", "nonsense"])
def test_what_there_is_not_is_not_acceptable(accept: str) -> None:
    with pytest.raises(HTTPException) as refused:
        preferred(accept, (JSON, JPEG))
    assert refused.value.status_code == 406
