"""Reading what somebody asks the trainer for by hand; the form is `labelstream.training_requests`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from labelstream import keys
from labelstream.errors import Misconfigured, Rejected
from labelstream.jobs.ports import Job
from labelstream.training_requests import TrainingRequest
from trainer.recipe import RECIPES, OnTheFly, TrainingRecipe, load_recipe, shipped


def read_request(job: Job) -> TrainingRequest:
    """Return what is asked for. Raises Rejected."""
    try:
        request = TrainingRequest.model_validate(job.payload)
    except ValidationError as error:
        hint = "Ask with `labelstream train` or `labelstream jobs`."
        raise Rejected("request.unreadable", problems(error), hint) from error
    dataset = request.dataset
    if dataset is not None and not dataset.key.startswith(keys.datasets(job.project)):
        reason = f"{dataset.key} is no dataset of the project {job.project}"
        raise Rejected("request.unreadable", reason, f"Its datasets lie under {keys.datasets(job.project)}.")
    return request


def read_recipe(request: TrainingRequest, own: TrainingRecipe) -> TrainingRecipe:
    """Return the recipe that a request brings or names, or the trainer's own, as changed. Raises Rejected."""
    recipe = own if request.recipe is None else _brought(request.recipe)
    return _checked(recipe.model_dump(mode="json"), request.changes) if request.changes else recipe


def _brought(asked: dict[str, Any] | str) -> TrainingRecipe:
    return _shipped(asked) if isinstance(asked, str) else _checked({}, asked)


def _checked(base: dict[str, Any], given: dict[str, Any]) -> TrainingRecipe:
    """Return the recipe of `base` with the fields of `given`. Raises Rejected."""
    nested = given.get("on_the_fly")
    unknown = [*_unknown(given, TrainingRecipe, ""), *_unknown(nested, OnTheFly, "on_the_fly.")]
    if unknown:
        known = f"Known are {', '.join(TrainingRecipe.model_fields)}; in on_the_fly {', '.join(OnTheFly.model_fields)}."
        raise Rejected("recipe.unreadable", f"no field of a recipe: {', '.join(unknown)}", known)
    if isinstance(nested, dict):
        given = {**given, "on_the_fly": {**base.get("on_the_fly", {}), **nested}}
    try:
        return TrainingRecipe.model_validate({**base, **given})
    except ValidationError as error:
        raise Rejected("recipe.unreadable", problems(error), "Correct the recipe and ask again.") from error


def problems(error: ValidationError) -> str:
    """Return what is wrong, field by field."""
    said = ((".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors())
    return "; ".join(f"{where}: {message}" if where else message for where, message in said)


def _shipped(name: str) -> TrainingRecipe:
    """Return a recipe that comes with the trainer; a request names no file of this machine."""
    if name not in shipped(RECIPES):
        hint = f"Known are {', '.join(shipped(RECIPES))}; another recipe is sent whole."
        raise Rejected("recipe.unreadable", f"there is no training recipe {name!r}", hint)
    try:
        return load_recipe(name)
    except Misconfigured as error:
        raise Rejected("recipe.unreadable", str(error), "Correct the trainer's installation.") from error


def _unknown(given: object, kind: type[TrainingRecipe | OnTheFly], where: str) -> list[str]:
    return [f"{where}{name}" for name in given if name not in kind.model_fields] if isinstance(given, dict) else []
