"""Settings of services as a person types them: `augmenter.recipe=mine.yaml`, `all.log_level=debug`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream_local.services import NAMES

FILES = (".yaml", ".yml", ".json")
_GROUPS = {"annotation-ingest": "ingest", "inference-annotate": "annotate"}
_ALL = "all"
_SHARED = ("log_level", "tracing")  # what every service can be told, and the stack does not say itself


def variables_of(settings: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the environment variables that each service is to get. Raises Misconfigured for what is no setting."""
    told: dict[str, dict[str, str]] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        service, dot, path = name.strip().partition(".")
        if not (equals and dot and path):
            raise Misconfigured(f"--set {setting}: write SERVICE.SETTING=VALUE, such as augmenter.recipe=weather")
        if service not in (*NAMES, _ALL):
            raise Misconfigured(f"--set {setting}: there is no service {service!r}; there are {', '.join(NAMES)}")
        if service == _ALL and not _is_shared(path):
            raise Misconfigured(f"--set {setting}: what all services have is {' and '.join(_SHARED)}")
        for one in NAMES if service == _ALL else (service,):
            told.setdefault(one, {})[_variable(one, path)] = _absolute(value)
    return told


def _is_shared(path: str) -> bool:
    return path.partition(".")[0].replace("-", "_") in _SHARED


def _variable(service: str, path: str) -> str:
    group = "" if _is_shared(path) else _GROUPS.get(service, service.partition("-")[0]) + "__"
    return f"LABELSTREAM_{group}{path.replace('.', '__').replace('-', '_')}".upper()


def _absolute(value: str) -> str:
    """Return a file's whole path: services work in another directory. Raises Misconfigured when it is not there."""
    if not value.endswith(FILES):
        return value
    if not Path(value).is_file():
        raise Misconfigured(f"there is no file {value}")
    return str(Path(value).resolve())
