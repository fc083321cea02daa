"""What `deploy/k8s` renders to is right, and what would be wrong with it is found."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.checks.checking import faults
from deploy.checks.documents import Documents
from deploy.checks.network import ways
from deploy.checks.reach import needed
from deploy.checks.rendering import K8S, NotRendered, read_kept, render, renderer

needs_kubectl = pytest.mark.skipif(renderer() is None, reason="kubectl or kustomize renders this, and neither is here")

OVERLAYS = ("overlays/cpu", "overlays/gpu")  # which are kept rendered for machines without kubectl
COMPONENTS = ("observability", "autoscaling", "keda", "mlflow", "store-setup", "tls")
OBSERVABILITY = K8S.parent / "observability"

Object = dict[str, Any]
Mistake = Callable[[Documents], None]


@cache
def _rendered(kustomization: str) -> Documents:
    return render(K8S / kustomization)


def _with_component(folder: Path, overlay: str, component: str) -> Documents:
    """Render an overlay with a component, as somebody's own kustomization would."""
    own = {
        "resources": [os.path.relpath(K8S / overlay, folder)],
        "components": [os.path.relpath(K8S / "components" / component, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return render(folder)


@pytest.mark.parametrize("kustomization", [*OVERLAYS, pytest.param("site-example", marks=needs_kubectl)])
def test_what_is_shipped_has_no_faults(kustomization):
    assert [str(fault) for fault in faults(_rendered(kustomization))] == []


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_kept_of_an_overlay_is_what_it_renders_to(overlay):
    assert read_kept(K8S / overlay).every == _rendered(overlay).every


def test_without_kubectl_what_is_kept_is_checked_unless_something_changed_since(tmp_path):
    shutil.copytree(K8S.parent, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", "local", "compose"))
    command = [
        sys.executable,
        "-c",
        "from deploy.checks.rendering import *; print(len(render(K8S / 'overlays/gpu').every))",
    ]
    ask = partial(subprocess.run, command, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert ask().stdout == f"{len(_rendered('overlays/gpu').every)}\n"
    changed = tmp_path / "deploy/k8s/base/programs/labelstream.env"
    changed.write_text(changed.read_text().replace("REGION=us-east-1", "REGION=eu-central-1"))
    assert "run `make manifests`" in ask().stderr


@needs_kubectl
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("overlay", ["overlays/cpu", "overlays/gpu"])
def test_a_component_goes_with_an_overlay(tmp_path, overlay, component):
    documents = _with_component(tmp_path, overlay, component)
    assert [str(fault) for fault in faults(documents)] == []
    assert documents.every != _rendered(overlay).every


@needs_kubectl
def test_the_broker_can_be_applied_alone_before_everything_else():
    documents = render(K8S / "broker")
    (rabbitmq,) = documents.workloads
    assert ways(documents, rabbitmq, "egress") == frozenset(needed(documents, rabbitmq, "egress"))
    rules = {"config-map", "image", "key", "port", "schema", "secret", "security", "token", "volume"}
    found = [fault for fault in faults(documents) if fault.rule in rules and "rabbitmq" in fault.where]
    assert [str(fault) for fault in found] == []


def test_programs_of_the_gpu_overlay_get_a_gpu_and_its_images():
    pods = {one.name: one.pod for one in _rendered("overlays/gpu").workloads}
    on_gpus = {
        name for name, pod in pods.items() if pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == 1
    }
    assert on_gpus == {"trainer-work", "exporter-work", "inference"}
    assert on_gpus == {name for name, pod in pods.items() if pod["containers"][0]["image"].endswith("-gpu")}
    assert on_gpus == {name for name, pod in pods.items() if "nodeSelector" in pod and "tolerations" in pod}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_videos_lie_on_a_disk_while_they_are_answered(overlay):
    (pod,) = (one.pod for one in _rendered(overlay).workloads if one.name == "inference")
    (container,) = pod["containers"]
    (place,) = (one["value"] for one in container["env"] if one["name"] == "TMPDIR")
    (name,) = (one["name"] for one in container["volumeMounts"] if one["mountPath"] == place)
    (volume,) = (one for one in pod["volumes"] if one["name"] == name)
    assert "medium" not in volume["emptyDir"]


def test_the_observability_component_has_every_alert_and_every_dashboard():
    listed = yaml.safe_load((OBSERVABILITY / "kustomization.yaml").read_text())["configMapGenerator"]
    files = {Path(file).name for one in listed for file in one["files"]}
    assert files == {
        *(path.name for path in (OBSERVABILITY / "alerts").glob("*.yml")),
        *(path.name for path in (OBSERVABILITY / "grafana" / "dashboards").glob("*.json")),
    }


@needs_kubectl
def test_a_kustomization_that_does_not_render_says_why(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: [nothing.yaml]\n")
    with pytest.raises(NotRendered, match=r"nothing\.yaml"):
        render(tmp_path)


def _find(documents: Documents, kind: str, name: str) -> Object:
    found = documents.find(kind, name)
    assert found is not None
    return found


def _container(documents: Documents, kind: str, name: str) -> Object:
    return _find(documents, kind, name)["spec"]["template"]["spec"]["containers"][0]


def _wrong_selector(documents: Documents) -> None:
    _find(documents, "Service", "inference")["spec"]["selector"] = {"app.kubernetes.io/name": "inferrence"}


def _wrong_port(documents: Documents) -> None:
    _find(documents, "Service", "exporter-serve")["spec"]["ports"][0]["targetPort"] = 8081


def _missing_key(documents: Documents) -> None:
    shared = next(one for one in documents.of("ConfigMap") if "LABELSTREAM_STORE__ENDPOINT_URL" in one["data"])
    del shared["data"]["LABELSTREAM_STORE__ENDPOINT_URL"]


def _missing_config_map(documents: Documents) -> None:
    _container(documents, "Deployment", "trainer")["envFrom"].append({"configMapRef": {"name": "trainer"}})


def _missing_secret(documents: Documents) -> None:
    pod = _find(documents, "Deployment", "exporter")["spec"]["template"]["spec"]
    next(one for one in pod["volumes"] if one["name"] == "secrets")["secret"]["secretName"] = "exporter-keys"


def _secret_of_another(documents: Documents) -> None:
    variable = {"name": "LABELSTREAM_EXPORTER__RKNN_PYTHON", "value": "/run/secrets/signing-key.pem"}
    _container(documents, "Deployment", "exporter-work").setdefault("env", []).append(variable)


def _missing_claim(documents: Documents) -> None:
    del _find(documents, "StatefulSet", "annotation-ingest")["spec"]["volumeClaimTemplates"]


def _claim_of_nobody(documents: Documents) -> None:
    pod = _find(documents, "Deployment", "trainer")["spec"]["template"]["spec"]
    pod["volumes"] = [one for one in pod["volumes"] if one["name"] != "state"]
    pod["volumes"].append({"name": "state", "persistentVolumeClaim": {"claimName": "trainer-state"}})


def _misspelled(documents: Documents) -> None:
    variables = _container(documents, "Deployment", "augmenter-work")["env"]
    next(one for one in variables if one["name"].endswith("__WORKERS"))["name"] = "LABELSTREAM_AUGMENTER__WORKRES"


def _misspelled_shared(documents: Documents) -> None:
    shared = next(one for one in documents.of("ConfigMap") if "LABELSTREAM_PROJECTS" in one["data"])
    shared["data"]["LABELSTREAM_PROJECT"] = shared["data"].pop("LABELSTREAM_PROJECTS")


def _wrong_value(documents: Documents) -> None:
    variable = {"name": "LABELSTREAM_TRAINER__MIN_NEW", "value": "many"}
    _container(documents, "Deployment", "trainer")["env"].append(variable)


def _unknown_field(documents: Documents) -> None:
    _container(documents, "StatefulSet", "inference")["readynessProbe"] = {"tcpSocket": {"port": 8080}}


def _token(documents: Documents) -> None:
    del _find(documents, "Deployment", "exporter")["spec"]["template"]["spec"]["automountServiceAccountToken"]


def _root(documents: Documents) -> None:
    _find(documents, "StatefulSet", "rabbitmq")["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] = False


def _writable_root(documents: Documents) -> None:
    _container(documents, "Deployment", "trainer-work")["securityContext"]["readOnlyRootFilesystem"] = False


def _hole(documents: Documents) -> None:
    _find(documents, "NetworkPolicy", "store")["spec"]["egress"].append({"to": [{"podSelector": {}}]})


def _anywhere(documents: Documents) -> None:
    rule = _find(documents, "NetworkPolicy", "store")["spec"]["egress"][0]
    rule["to"] = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]


def _blocked(documents: Documents) -> None:
    _find(documents, "NetworkPolicy", "queues")["spec"]["egress"][0]["ports"][0]["port"] = 5673


def _no_metrics(documents: Documents) -> None:
    _find(documents, "NetworkPolicy", "metrics-of-programs")["spec"]["ingress"] = []


def _no_denial(documents: Documents) -> None:
    documents.every[:] = [one for one in documents.every if one["metadata"]["name"] != "nobody"]


def _no_names(documents: Documents) -> None:
    documents.every[:] = [one for one in documents.every if one["metadata"]["name"] != "dns"]


def _two_deciders(documents: Documents) -> None:
    _find(documents, "Deployment", "trainer")["spec"]["strategy"] = {"type": "RollingUpdate"}


def _command_of_another(documents: Documents) -> None:
    _container(documents, "Deployment", "exporter-work")["args"] = ["serve"]


def _unwatched(documents: Documents) -> None:
    pods = _find(documents, "Deployment", "trainer")["spec"]["template"]
    pods["metadata"]["annotations"]["prometheus.io/port"] = "9090"


def _probe_of_nothing(documents: Documents) -> None:
    _container(documents, "StatefulSet", "augmenter")["readinessProbe"]["httpGet"]["path"] = "/ready"


def _foreign_image(documents: Documents) -> None:
    _container(documents, "Deployment", "trainer")["image"] = "labelstream/trainer-next:0.1.0"


def _floating_image(documents: Documents) -> None:
    _container(documents, "Deployment", "trainer")["image"] = "labelstream/trainer"


def _gpu_image(documents: Documents) -> None:
    _container(documents, "StatefulSet", "inference")["image"] += "-gpu"


def _lost_budget(documents: Documents) -> None:
    _find(documents, "PodDisruptionBudget", "rabbitmq")["spec"]["selector"]["matchLabels"] = {"app": "rabbitmq"}


def _two_nodes(documents: Documents) -> None:
    _find(documents, "StatefulSet", "rabbitmq")["spec"]["replicas"] = 4


def _elsewhere(documents: Documents) -> None:
    del _find(documents, "Service", "inference")["metadata"]["namespace"]


def _no_program(documents: Documents) -> None:
    documents.every[:] = [one for one in documents.every if one["metadata"]["name"] != "exporter-serve"]


MISTAKES: dict[str, tuple[Mistake, str, str]] = {
    "wrong selector": (_wrong_selector, "selector", "Service inference"),
    "wrong port": (_wrong_port, "port", "8081"),
    "missing ConfigMap key": (_missing_key, "setting", "LABELSTREAM_STORE__ENDPOINT_URL"),
    "missing ConfigMap": (_missing_config_map, "config-map", "no ConfigMap trainer"),
    "missing Secret": (_missing_secret, "secret", "exporter-keys"),
    "another's secret": (_secret_of_another, "secret", "signing-key.pem"),
    "missing claim template": (_missing_claim, "volume", "StatefulSet annotation-ingest"),
    "missing PersistentVolumeClaim": (_claim_of_nobody, "claim", "trainer-state"),
    "misspelled variable": (_misspelled, "setting", "LABELSTREAM_AUGMENTER__WORKERS?"),
    "misspelled shared variable": (_misspelled_shared, "setting", "LABELSTREAM_PROJECTS?"),
    "value that is none": (_wrong_value, "setting", "LABELSTREAM_TRAINER__MIN_NEW"),
    "unknown field": (_unknown_field, "schema", "readynessProbe"),
    "token mounted": (_token, "token", "Deployment exporter"),
    "root user": (_root, "security", "StatefulSet rabbitmq"),
    "writable root": (_writable_root, "security", "Deployment trainer-work"),
    "policy hole": (_hole, "network", "open and not needed"),
    "store anywhere": (_anywhere, "network", "0.0.0.0/0 is everywhere"),
    "way closed": (_blocked, "network", "needed and not open: rabbitmq:5672"),
    "no way for Prometheus": (_no_metrics, "network", "ingress is needed and not open: namespace kubernetes.io"),
    "nobody denied": (_no_denial, "network", "no policy denies"),
    "no DNS": (_no_names, "network", "Deployment trainer: egress is needed and not open: namespace kubernetes.io"),
    "two deciders": (_two_deciders, "single", "Deployment trainer"),
    "another's command": (_command_of_another, "command", "exporter-serve"),
    "port that is not scraped": (_unwatched, "port", "Deployment trainer: Prometheus is told to ask port 9090"),
    "probe of nothing": (_probe_of_nothing, "probe", "readinessProbe does not ask /readyz"),
    "image of nobody": (_foreign_image, "image", "trainer-next"),
    "image for a GPU": (_gpu_image, "image", "0.1.0-gpu without a GPU"),
    "image without a version": (_floating_image, "image", "no version"),
    "budget of nothing": (_lost_budget, "budget", "StatefulSet rabbitmq"),
    "node that is not listed": (_two_nodes, "broker", "rabbit@rabbitmq-3"),
    "object elsewhere": (_elsewhere, "namespace", "Service inference"),
    "missing program": (_no_program, "program", "exporter-serve"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_named(mistake):
    make, rule, words = MISTAKES[mistake]
    documents = Documents(copy.deepcopy(list(_rendered("overlays/cpu").every)))
    make(documents)
    found = [str(fault) for fault in faults(documents) if fault.rule == rule]
    assert [one for one in found if words in one], found
