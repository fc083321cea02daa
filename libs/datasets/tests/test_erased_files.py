"""Files of datasets are called after what they show: by that they are known to be erased."""

from __future__ import annotations

import pytest

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented, Range, Stayed
from labelstream.values import sha256_hex
from labelstream_datasets.archives.erased import ErasedContents
from labelstream_datasets.archives.names import digits_in, stem_of

GONE, SHARED, OTHER = (sha256_hex(name) for name in (b"gone", b"shared", b"other"))
OURS, THEIRS = sha256_hex(b"our labels"), sha256_hex(b"their labels")
AT = 10  # the erasure's offset


@pytest.fixture
def erased() -> ErasedContents:
    contents = ErasedContents()
    for offset, images, stayed in ((AT, (GONE,), (Stayed(image=SHARED, labels=(THEIRS,)),)), (AT + 5, (), ())):
        given = Range(stream=ANNOTATION_EVENTS, first=0, last=offset)
        contents.fold(BatchAugmented(input=given, recipe=OTHER, erased_images=images, stayed=stayed))
    return contents


@pytest.mark.parametrize(
    ("image", "labels", "cut", "is_erased"),
    [
        pytest.param(GONE, OURS, AT - 1, True, id="an image that was erased"),
        pytest.param(GONE, THEIRS, 0, True, id="whatever is said of it"),
        pytest.param(GONE, OURS, AT, False, id="recorded again since"),
        pytest.param(SHARED, OURS, AT - 1, True, id="labels that nobody says any more"),
        pytest.param(SHARED, THEIRS, AT - 1, False, id="labels that another annotation says"),
        pytest.param(SHARED, OURS, AT, False, id="labels that are said again"),
        pytest.param(OTHER, OURS, 0, False, id="another image"),
    ],
)
def test_a_file_is_erased_with_what_it_shows(
    erased: ErasedContents, image: str, labels: str, cut: int, is_erased: bool
) -> None:
    for before in ("", f"{image}_"):  # the whole digest stands in front where two files would be called the same
        assert erased.files().takes(f"{before}{stem_of(image, labels)}_0.png", cut) is is_erased


def test_the_newest_erasure_is_known(erased: ErasedContents) -> None:
    assert (ErasedContents().last, erased.last, erased.files().last) == (-1, AT, AT)


@pytest.mark.parametrize("name", ["", "photo.jpg", f"{'0' * 16}-{'0' * 8}.jpg", f"{'0' * 15}-{'0' * 8}_0.jpg"])
def test_a_name_that_is_none_of_ours_says_nothing(erased: ErasedContents, name: str) -> None:
    assert digits_in(name) is None
    assert not erased.files().takes(name, 0)
