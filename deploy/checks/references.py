"""What refers to something refers to something that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy.checks.documents import Document, Documents, Fault, Workload, selects, where_of

from labelstream_local.workloads import MAY_HAVE, NEEDS

Keys = frozenset[str]
# `labelstream secrets kubectl` makes most, people the last one and the ConfigMap.
SECRETS: Mapping[str, Keys] = {
    **{
        # A store that hands out key ids of its own has them beside its keys.
        workload: frozenset((*names, *MAY_HAVE.get(workload, ()), f"store-key-{workload}"))
        for workload, names in NEEDS.items()
    },
    "rabbitmq-tls": frozenset({"ca.crt", "tls.crt", "tls.key"}),
}
CONFIG_MAPS: Mapping[str, Keys] = {"broker-ca": frozenset({"ca.crt"})}


def reference_faults(documents: Documents) -> Iterator[Fault]:
    """Find selectors that select nothing, and names of what is not there."""
    for workload in documents.workloads:
        yield from _selector(workload)
        yield from _scraped(workload)
        for container in workload.all_containers:
            yield from _mounts(documents, workload, container)
            yield from _probes(workload, container)
            yield from _sources(documents, workload, container)
        for volume in workload.volumes.values():
            yield from _volume(documents, workload, volume)
        yield from _governing(documents, workload)
    yield from _services(documents)
    yield from _budgets(documents)
    yield from _scalers(documents)
    yield from _elsewhere(documents)


def _selector(workload: Workload) -> Iterator[Fault]:
    selector = workload.spec.get("selector")
    if selector is not None and not selects(selector, workload.labels):
        yield Fault("selector", workload.where, f"{selector['matchLabels']} does not select its own pods")


def _scraped(workload: Workload) -> Iterator[Fault]:
    port = workload.annotations.get("prometheus.io/port")
    if port is not None and port not in map(str, workload.ports.values()):
        yield Fault("port", workload.where, f"Prometheus is told to ask port {port}")


def _mounts(documents: Documents, workload: Workload, container: Document) -> Iterator[Fault]:
    for mount in container.get("volumeMounts", []):
        volume = workload.volumes.get(mount["name"])
        where = f"{workload.where} {container['name']}"
        if volume is None:
            yield Fault("volume", where, f"mounts {mount['name']}, and there is no such volume or claim")
        elif "subPath" in mount and mount["subPath"] not in _keys_in(documents, volume):
            yield Fault("key", where, f"mounts {mount['subPath']} of {mount['name']}, which has no such key")


def _keys_in(documents: Documents, volume: Document) -> Keys:
    name = volume.get("configMap", {}).get("name", "")
    return frozenset(documents.data(name)) | CONFIG_MAPS.get(name, frozenset())


def _probes(workload: Workload, container: Document) -> Iterator[Fault]:
    own = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container.get(kind, {})
        asked = probe.get("httpGet") or probe.get("tcpSocket")
        if asked and asked["port"] not in {*own, *own.values()}:
            yield Fault("port", f"{workload.where} {container['name']}", f"{kind} asks port {asked['port']}")


def _sources(documents: Documents, workload: Workload, container: Document) -> Iterator[Fault]:
    where = f"{workload.where} {container['name']}"
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            yield from _config_map(documents, where, source["configMapRef"]["name"])
        if "secretRef" in source:
            yield from _secret(where, source["secretRef"]["name"])
    for variable in container.get("env", []):
        chosen = variable.get("valueFrom", {})
        if one := chosen.get("configMapKeyRef"):
            yield from _config_map(documents, where, one["name"], one["key"])
        if one := chosen.get("secretKeyRef"):
            yield from _secret(where, one["name"], one["key"])


def _volume(documents: Documents, workload: Workload, volume: Document) -> Iterator[Fault]:
    sources = [volume, *volume.get("projected", {}).get("sources", [])]
    for source in sources:
        if one := source.get("configMap"):
            yield from _config_map(documents, workload.where, one["name"])
        if one := source.get("secret"):
            for key in [item["key"] for item in one.get("items", [])] or [None]:
                yield from _secret(workload.where, one.get("secretName") or one["name"], key)
        claim = source.get("persistentVolumeClaim", {}).get("claimName")
        if claim is not None and documents.find("PersistentVolumeClaim", claim) is None:
            yield Fault("claim", workload.where, f"there is no PersistentVolumeClaim {claim}")


def _config_map(documents: Documents, where: str, name: str, key: str | None = None) -> Iterator[Fault]:
    found = documents.find("ConfigMap", name)
    keys = CONFIG_MAPS.get(name) if found is None else frozenset(found.get("data", {}))
    if keys is None:
        yield Fault("config-map", where, f"there is no ConfigMap {name}")
    elif key is not None and key not in keys:
        yield Fault("key", where, f"ConfigMap {name} has no key {key}")


def _secret(where: str, name: str, key: str | None = None) -> Iterator[Fault]:
    if name not in SECRETS:
        yield Fault("secret", where, f"nobody makes a Secret {name}: `labelstream secrets kubectl` does not")
    elif key is not None and key not in SECRETS[name]:
        yield Fault("key", where, f"Secret {name} has no key {key}")


def _governing(documents: Documents, workload: Workload) -> Iterator[Fault]:
    name = workload.spec.get("serviceName")
    if workload.kind == "StatefulSet" and (name is None or documents.find("Service", name) is None):
        yield Fault("service", workload.where, f"there is no Service {name}")


def _services(documents: Documents) -> Iterator[Fault]:
    for service in documents.of("Service"):
        spec, where = service["spec"], where_of(service)
        taken = [one for one in documents.workloads if selects({"matchLabels": spec["selector"]}, one.labels)]
        if not taken:
            yield Fault("selector", where, f"{spec['selector']} selects nothing")
        for port in spec["ports"]:
            target = port.get("targetPort", port["port"])
            yield from (
                Fault("port", where, f"{target} is no port of {one.name}")
                for one in taken
                if target not in {*one.ports, *one.ports.values()}
            )


def _budgets(documents: Documents) -> Iterator[Fault]:
    workloads = documents.workloads
    budgets = list(documents.of("PodDisruptionBudget"))
    for budget in budgets:
        if not any(selects(budget["spec"]["selector"], one.labels) for one in workloads):
            yield Fault("selector", where_of(budget), "selects nothing")
    for workload in workloads:
        several = workload.kind != "Job" and workload.spec.get("replicas", 2) > 1
        held = any(selects(budget["spec"]["selector"], workload.labels) for budget in budgets)
        if several and not held:
            yield Fault("budget", workload.where, "has several replicas and no PodDisruptionBudget")


def _scalers(documents: Documents) -> Iterator[Fault]:
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for scaler in documents.of(kind):
            target = scaler["spec"]["scaleTargetRef"]
            found = documents.find(target.get("kind", "Deployment"), target["name"])
            if found is None:
                yield Fault(
                    "target", where_of(scaler), f"there is no {target.get('kind', 'Deployment')} {target['name']}"
                )
            elif "replicas" in found["spec"]:
                yield Fault("target", where_of(scaler), f"{target['name']} says its replicas itself, too")


def _elsewhere(documents: Documents) -> Iterator[Fault]:
    """Find objects that are not in the one namespace."""
    names = {one["metadata"]["name"] for one in documents.of("Namespace")}
    for document in documents.every:
        place = document["metadata"].get("namespace", "none")
        if document["kind"] != "Namespace" and {place} != names:
            yield Fault(
                "namespace", where_of(document), f"is in {place}, and not in {', '.join(sorted(names)) or 'one'}"
            )
