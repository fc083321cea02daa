"""Annotating images with a model: what is asked for, and what a worker tells of it.

Who asks leaves the list of the images and the request in the data bucket, marks the job as open, and puts it on the
queue. A worker leaves `progress.json` and `result.json` under its attempt. What it publishes comes on an input stream
of its own, which may neither validate nor change what people said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.jobs.ports import Job, JobQueue
from labelstream.values import FileRef, Project, Value, digest_of, short_id

QUEUE = "jobs.annotate"
IMAGES, PROGRESS, RANKING, FAILURES = "images", "progress.json", "ranking.json", "failures.json"
NAME_DIGITS = 32

Order = Literal["name", "uncertain"]


def stream_of(project: str) -> str:
    """Return the input stream that a project's proposals come on."""
    return "annotations-ai" if project == "default" else f"annotations-ai.{project}"


def name_of(sha256: str) -> str:
    """Return the annotation that a model's boxes on an image have: the same image again is the same annotation."""
    return f"ai/{sha256[:NAME_DIGITS]}"


class StoredImage(Value):
    """An image that lies in the store."""

    bucket: Literal["incoming", "data"]
    key: str
    file: str = Field(description="as the person who asked calls it; for the ranking and for what failed")
    medium: str | None = Field(None, description="the photo or video that it came from; default: itself")


class ImageList(Value):
    """The images of a job, in the order of their names."""

    images: tuple[StoredImage, ...]


class AnnotateRequest(Value):
    """What somebody wants to be annotated."""

    project: Project
    images: FileRef = Field(description="an ImageList in the data bucket")
    count: int
    source: str = Field(description="the folder or prefix, for whoever looks at the job")
    model: str | None = Field(None, description="this model or none; default: the one in service when work begins")
    confidence: float | None = Field(None, ge=0, le=1, description="of what is published; default: the model's")
    order: Order = "name"
    serving: str | None = Field(None, description="the model in service when it was asked; another one, another job")
    again: str = Field("", description="makes a job of its own of what was asked for before")
    asked_ms: int = 0

    @property
    def id(self) -> str:
        """The job: what is asked for, whoever asks and when."""
        return short_id("annotate", digest_of(self.model_dump(mode="json", exclude={"asked_ms", "source"})))


class Ranked(Value):
    """An image's place among those that people should look at."""

    place: int
    name: str = Field(description="the annotation")
    file: str
    score: float
    boxes: int
    unsure: float = Field(description="confidence nearest to one half of all that was found; 0: nothing was found")


class Failed(Value):
    """An image that came to nothing."""

    file: str
    rule: str
    reason: str


class Progress(Value):
    """How far a job is."""

    total: int
    model: str = ""
    predicted: int = 0
    published: int = Field(0, description="annotations that the broker has confirmed")
    boxes: int = Field(0, description="in what was published")
    empty: int = Field(0, description="published annotations without a box")
    repeated: int = Field(0, description="images that the list holds more than once, by their content")
    skipped: Mapping[str, int] = Field(default_factory=dict, description="class of the model → boxes left out")
    failed: Mapping[str, int] = Field(default_factory=dict, description="rule → images that came to nothing")
    seconds: float = Field(0, description="of work, by all attempts")


class Annotated(Progress):
    """What a job came to."""

    cancelled: bool = False
    reason: str = ""
    ranking: FileRef | None = Field(None, description="a list of Ranked, where the order is `uncertain`")
    failures: FileRef | None = Field(None, description="a list of Failed, where there are any")


def job_of(request: AnnotateRequest) -> Job:
    """Return the job that a request is."""
    return Job(project=request.project, id=request.id, payload=request.model_dump(mode="json"))


async def put_images(blobs: Blobs, project: str, images: ImageList) -> FileRef:
    """Store a list of images under the digest of its content. Raises Unavailable."""
    data = images.model_dump_json().encode()
    reference = FileRef.of("", data)
    key = keys.annotating(project, f"{IMAGES}/{reference.sha256}")
    await blobs.create(key, data)
    return reference.model_copy(update={"key": key})


async def ask_to_annotate(blobs: Blobs, queue: JobQueue, request: AnnotateRequest) -> bool:
    """Ask for it; say whether it was not over already. Asking twice does it once. Raises Unavailable."""
    job = job_of(request)
    wanted, mark = keys.annotating(request.project, job.id), keys.annotating_open(request.project, job.id)
    if await blobs.head(wanted) is not None and await blobs.head(mark) is None:
        return False
    await blobs.create(mark, b"{}")  # first: whoever stops here has asked for nothing
    await blobs.create(wanted, request.model_dump_json().encode())
    await queue.put(QUEUE, job)
    return True
