"""Where every object lies: the one place that spells keys."""

from __future__ import annotations


def image(project: str, sha256: str, extension: str) -> str:
    """The key of an image, by its content."""
    return f"{project}/images/{sha256}.{extension}"


def images(project: str) -> str:
    """What the keys of all images of a project begin with."""
    return f"{project}/images/"


def class_schema(project: str) -> str:
    """The key of a project's class schema, as its annotations use it."""
    return f"{project}/class-schema.json"


def archive(project: str, digest: str) -> str:
    """The key of a batch's archive, by its inputs and recipe."""
    return f"{project}/archives/{digest}.tar"


def archives(project: str) -> str:
    """What the keys of all archives of a project begin with."""
    return f"{project}/archives/"


def forwarding(key: str) -> str:
    """The key of the note that says where the content of a rewritten archive lies now, or what a file became."""
    return f"{key}.rewritten.json"


def collected(archive: str) -> str:
    """The key of the note that says when and why `labelstream gc` removed an archive."""
    return f"{archive}.collected.json"


def augmenting(project: str) -> str:
    """The key of the note that says with which recipe a project's augmenter works."""
    return f"{project}/augmenting.json"


def batch_lists(project: str, digest: str) -> str:
    """The key of a batch event's lists, by their content."""
    return f"{project}/batches/{digest}.msgpack"


def datasets(project: str) -> str:
    """What the keys of all datasets of a project begin with."""
    return f"{project}/datasets/"


def dataset(project: str, dataset_id: str, name: str) -> str:
    """The key of a dataset's `manifest.parquet` or `dataset.json`."""
    return f"{project}/datasets/{dataset_id}/{name}"


def job(project: str, job_id: str, name: str) -> str:
    """The key of something that belongs to a job, such as its lease."""
    return f"{project}/jobs/{job_id}/{name}"


def jobs(project: str) -> str:
    """What the keys of all that belongs to a project's jobs begin with."""
    return f"{project}/jobs/"


def attempt(project: str, job_id: str, number: int, name: str) -> str:
    """The key of something that one attempt at a job left; no other attempt writes there."""
    return job(project, job_id, f"attempts/{number:04d}/{name}")


def model(project: str, model_id: str, name: str = "") -> str:
    """The key of a bundle's file in the model bucket."""
    return f"{project}/models/{model_id}/{name}"


def big_part(project: str, model_id: str, file: str) -> str:
    """The key of the big part of a sealed file in the model bucket."""
    return model(project, model_id, f"{file}.big")


def grant(project: str, model_id: str, device: str) -> str:
    """The key of a device's grant in the resources bucket."""
    return f"{project}/grants/{model_id}/{device}.age"


def model_key(project: str, model_id: str) -> str:
    """The key of a model's sealed private key and small parts in the resources bucket (for making grants)."""
    return f"{project}/model-keys/{model_id}.age"


def device(name: str) -> str:
    """The key of a device's record in the resources bucket."""
    return f"devices/{name}.json"


def view_snapshot(version: int) -> str:
    """The key of the newest copy of the annotation view, in the form that `version` names."""
    return f"views/annotations/v{version}.sqlite"


def job_cancel(project: str, job_id: str) -> str:
    """The key of the mark that somebody wants a job to end."""
    return job(project, job_id, "cancel.json")


def all_weights(project: str) -> str:
    """What the keys of all imported weights of a project begin with."""
    return f"{project}/weights/"


def weights(project: str, name: str, file: str) -> str:
    """The key of a file of imported weights: `weights.json` says what they are and names the others."""
    return f"{project}/weights/{name}/{file}"


def answer(project: str, answer_id: str) -> str:
    """The key of the trainer's answer to a request by hand; who asked chose the id."""
    return f"{project}/answers/{answer_id}.json"


def schedule(project: str) -> str:
    """The key of the note that says up to when the trainer's schedule was kept."""
    return f"{project}/schedule.json"


def exporter_worker(worker: str) -> str:
    """The key of an export worker's announcement, in the data bucket: what it can build, and until when that holds."""
    return f"exporters/{worker}.json"


def exporting() -> str:
    """The key of the note that says which formats the exporter is told to make."""
    return "exporters.json"


def grants(project: str, model_id: str) -> str:
    """What the keys of all grants of a model begin with."""
    return f"{project}/grants/{model_id}/"


def user(name: str) -> str:
    """The key of a person's record in the resources bucket."""
    return f"users/{name}.json"


def api_key(name: str) -> str:
    """The key of an API key's record in the resources bucket."""
    return f"api-keys/{name}.json"


def twin(folder: str, file: str) -> str:
    """The key of a legacy file: its small part in the resources bucket, its big part in the model bucket."""
    return f"legacy/{folder}/{file}"


def annotating(project: str, job_id: str = "") -> str:
    """The key of the job of annotating with a model as it was asked for; of none, what the keys of all begin with."""
    return f"{project}/annotating/{job_id}.json" if job_id else f"{project}/annotating/"


def annotating_open(project: str, job_id: str = "") -> str:
    """The key of the mark that a job of annotating is not over; of none, what the keys of all marks begin with."""
    return f"{project}/annotating-open/{job_id}"
