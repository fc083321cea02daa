"""Holds the archives of our recipe from the start on, and looks whether they are still there."""

from __future__ import annotations

from augmenter.done import Done
from augmenter.store import Store
from labelstream import keys
from labelstream.errors import Misconfigured
from labelstream.events.base import BATCH_EVENTS
from labelstream_datasets.archives.augmenting import Augmenting


async def hold_archives(store: Store, project: str, recipe: str) -> None:
    """Say which recipe's archives `labelstream gc` is to leave alone, even before the next batch says it."""
    await store.put(keys.augmenting(project), Augmenting(recipe=recipe).model_dump_json().encode())


async def refuse_lost_archives(store: Store, project: str, done: Done) -> None:
    """Raise Misconfigured when the store lacks archives of this recipe that events name.

    Content that they held counts as done, and would be missing from every dataset without a word. What an
    erasure rewrites at this moment has left a note.
    """
    named = done.own_archives()
    if not named:
        return
    stored = set(await store.keys(keys.archives(project)))
    lost = sorted(key for key in named if key not in stored and keys.forwarding(key) not in stored)
    if lost:
        raise Misconfigured(
            f"the store lacks {len(lost)} of {len(named)} archives that {BATCH_EVENTS} names for this recipe in "
            f"project {project}, such as {lost[0]}: `labelstream gc` collected them while another recipe was used, "
            "or they were lost. Restore the objects, or give the recipe another name: then all is augmented again"
        )
