"""labelstream jobs retry: a training that came to nothing, once more."""

from __future__ import annotations

from labelstream.training_requests import TrainingRequest
from labelstream.trainings import JobBook, JobState
from labelstream_cli.jobs.book import chosen, read_book
from labelstream_cli.jobs.options import JobId, Url, Wait
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.starting import Started, start, tell
from labelstream_cli.jobs.waiting import ending
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import CommandFailed, Directory, Json
from labelstream_local.layout import DEFAULT


def retry_job(
    *,
    job: JobId,
    wait: Wait = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Do a training again that failed or was cancelled: the same dataset and recipe, as a job of its own.

    It begins from the start. Asking twice trains once. With --wait the exit code is 1 when it comes to nothing again.

    Examples:
    - `labelstream jobs retry 3fa9`
    - `labelstream jobs retry 3fa9 --wait --json | jq .result.test`
    """

    async def work(place: Place) -> Started:
        state = _ended_job(await read_book(place), job)
        return await start(place, state.project, TrainingRequest(retry=state.job), wait=wait, quiet=as_json)

    started = at_place(Where(directory, url, quiet=True), work)
    tell(started, f"{job} once more", as_json=as_json)


def _ended_job(book: JobBook, told: str) -> JobState:
    state = chosen(book, told)
    if state.state == "finished":
        raise CommandFailed(f"there is nothing to do again: {ending(state)}")
    if not state.came_to_nothing:
        raise CommandFailed(
            f"{state.job[:SHORT]} has not ended: it is {state.state}. `labelstream jobs cancel` ends it"
        )
    return state
