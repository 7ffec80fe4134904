"""What manifests must keep that no schema knows: each rule tells what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from service.settings import ENV_PREFIX, Settings
from tests.deploy.rendering import Manifest

__all__ = ["LABEL", "RULES", "containers", "pods"]

Rule = Callable[[list[Manifest]], Iterator[str]]

RULES: dict[str, Rule] = {}

LABEL = "app.kubernetes.io/name"
TO_SPARE = 5
"""Seconds that the server gives its workers beyond their times, and the pod the server."""

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?")
_FACTORS = {"": 1.0, "m": 1e-3} | {
    suffix: base**power
    for suffixes, base in ((("k", "M", "G", "T"), 1e3), (("Ki", "Mi", "Gi", "Ti"), 2.0**10))
    for power, suffix in enumerate(suffixes, 1)
}


def rule(function: Rule) -> Rule:
    """Put a rule with the others."""
    RULES[function.__name__] = function
    return function


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod template, with the kind of what makes pods of it."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest["kind"], manifest["spec"]["template"]


def containers(pod: Manifest) -> list[Manifest]:
    """A pod's containers, those that run before it too."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def _walk(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, node
    if isinstance(node, (dict, list)):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _walk(inner, f"{path}.{key}")


def _of(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def _labels(pod: Manifest) -> dict[str, str]:
    labels: dict[str, str] = pod["metadata"]["labels"]
    return labels


def _amount(quantity: Any) -> float | None:
    match = _QUANTITY.fullmatch(str(quantity))
    return float(match[1]) * _FACTORS[match[2] or ""] if match else None


def _ports(pod: Manifest) -> dict[Any, int]:
    """Per name and per number the container's port."""
    ports = [port for each in containers(pod) for port in each.get("ports", ())]
    numbers = {port["containerPort"]: port["containerPort"] for port in ports}
    return numbers | {port["name"]: port["containerPort"] for port in ports}


def _settings(manifests: list[Manifest], pod: Manifest) -> dict[str, str]:
    """The variables that the server's container gets from ConfigMaps."""
    maps = {each["metadata"]["name"]: each.get("data", {}) for each in _of(manifests, "ConfigMap")}
    [server] = pod["spec"]["containers"]
    found: dict[str, str] = {}
    for source in server.get("envFrom", ()):
        found |= maps.get(source["configMapRef"]["name"], {})
    return found


@rule
def quantities_can_be_read(manifests: list[Manifest]) -> Iterator[str]:
    """Schemas take any text for one."""
    for manifest in manifests:
        for path, node in _walk(manifest):
            if path.endswith((".requests", ".limits")):
                for name, quantity in node.items():
                    if _amount(quantity) is None:
                        yield f"{path}.{name}: {quantity} is no quantity"
            elif path.endswith((".sizeLimit", ".averageValue")) and _amount(node) is None:
                yield f"{path}: {node} is no quantity"


@rule
def resources_are_stated(manifests: list[Manifest]) -> Iterator[str]:
    for kind, pod in pods(manifests):
        for container in containers(pod):
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            for name in ("cpu", "memory"):
                if name not in requests or name not in limits:
                    yield f"{kind}: {container['name']} has no request or no limit of {name}"
                elif (_amount(requests[name]) or 0) > (_amount(limits[name]) or 0):
                    yield f"{kind}: {container['name']} requests more {name} than its limit"


@rule
def selectors_select(manifests: list[Manifest]) -> Iterator[str]:
    """The server's pods, and no others."""
    templates = list(pods(manifests))
    chosen: list[tuple[str, dict[str, str]]] = []
    for manifest in manifests:
        spec, name = manifest.get("spec", {}), f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["kind"] == "Service":
            chosen.append((name, spec["selector"]))
        elif manifest["kind"] in {"Deployment", "PodDisruptionBudget"}:
            chosen.append((name, spec["selector"]["matchLabels"]))
        elif manifest["kind"] == "NetworkPolicy":
            chosen.append((name, spec["podSelector"].get("matchLabels", {})))
    chosen += [
        (f"{kind}'s spread", spread["labelSelector"]["matchLabels"])
        for kind, pod in templates
        for spread in pod["spec"].get("topologySpreadConstraints", ())
    ]
    for name, selector in chosen:
        found = [kind for kind, pod in templates if selector.items() <= _labels(pod).items()]
        if not selector or found != ["Deployment"]:
            yield f"{name} selects {found or 'nothing'}"
    for monitor in _of(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        if not any(
            wanted <= each["metadata"]["labels"].items() for each in _of(manifests, "Service")
        ):
            yield "ServiceMonitor selects nothing"


@rule
def ports_exist(manifests: list[Manifest]) -> Iterator[str]:
    for _, pod in pods(manifests):
        known = _ports(pod)
        for container in containers(pod):
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                if name in container and container[name]["httpGet"]["port"] not in known:
                    yield f"{name}: no such port"
        if known and int(_settings(manifests, pod)["SHAPSERVE_PORT"]) != known["http"]:
            yield "SHAPSERVE_PORT is not the container's port"
        for service in _of(manifests, "Service"):
            for port in service["spec"]["ports"]:
                if port.get("targetPort", port["port"]) not in known:
                    yield f"Service: no port {port.get('targetPort', port['port'])} in the pod"
        for policy in _of(manifests, "NetworkPolicy"):
            for ingress in policy["spec"].get("ingress", ()):
                for port in ingress.get("ports", ()):
                    if port["port"] not in known:
                        yield f"NetworkPolicy: no port {port['port']} in the pod"
    served = {p["name"] for each in _of(manifests, "Service") for p in each["spec"]["ports"]}
    for monitor in _of(manifests, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in served:
                yield f"ServiceMonitor: no port {endpoint['port']} in the Service"


@rule
def probes_mean_different_things(manifests: list[Manifest]) -> Iterator[str]:
    for _, pod in pods(_of(manifests, "Deployment")):
        [server] = pod["spec"]["containers"]
        startup, ready, live = (
            server.get(f"{name}Probe") for name in ("startup", "readiness", "liveness")
        )
        if not (startup and ready and live):
            yield "a probe is missing"
            continue
        paths = [probe["httpGet"]["path"] for probe in (startup, ready, live)]
        if paths != ["/health/ready", "/health/ready", "/health/live"]:
            yield f"probes ask {paths}"
        patience = [
            probe["periodSeconds"] * probe["failureThreshold"] for probe in (startup, ready, live)
        ]
        if not patience[0] > patience[2] > patience[1]:
            yield f"startup, readiness and liveness fail after {patience} s"


@rule
def the_pod_waits_for_the_drain(manifests: list[Manifest]) -> Iterator[str]:
    for _, pod in pods(_of(manifests, "Deployment")):
        told = _settings(manifests, pod)
        steps = ("DRAIN_SECONDS", "GRACE_SECONDS", "BACKGROUND_GRACE_SECONDS")
        needed = sum(float(told[ENV_PREFIX + step]) for step in steps) + 2 * TO_SPARE
        given = pod["spec"].get("terminationGracePeriodSeconds", 30)
        if given != needed:
            yield f"the pod is killed after {given} s, the server ends within {needed:g} s"


@rule
def mounts_have_volumes(manifests: list[Manifest]) -> Iterator[str]:
    for kind, pod in pods(manifests):
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", ())]
        mounts = [mount for each in containers(pod) for mount in each.get("volumeMounts", ())]
        if unknown := {mount["name"] for mount in mounts} - set(volumes):
            yield f"{kind} mounts {unknown}, which are no volumes"
        if unused := set(volumes) - {mount["name"] for mount in mounts}:
            yield f"{kind} has volumes {unused}, which nothing mounts"
        for mount in mounts:
            fills = mount["name"] == "artifact" and "initContainers" in pod["spec"]
            if not (mount.get("readOnly") or mount["name"] == "tmp" or fills):
                yield f"{mount['mountPath']} can be written to"
        for container in pod["spec"]["containers"]:
            places = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            if len(set(places)) < len(places):
                yield f"{container['name']} mounts two volumes at one place"
            if "/tmp" not in places:  # noqa: S108  # a path in the container
                yield f"{container['name']} has nowhere to write"


@rule
def the_artifact_is_where_the_server_looks(manifests: list[Manifest]) -> Iterator[str]:
    for _, pod in pods(_of(manifests, "Deployment")):
        told = _settings(manifests, pod).get("SHAPSERVE_ARTIFACT")
        mounted = _artifact_mounts(pod["spec"]["containers"])
        if mounted and mounted[0]["mountPath"] != told:
            yield f"the artifact is mounted elsewhere than where it is looked for: {told}"
        fetching = pod["spec"].get("initContainers", [])
        for container, mount in zip(fetching, _artifact_mounts(fetching), strict=True):
            inside = f"{mount['mountPath']}/{mounted[0].get('subPath')}"
            if container["command"][-2:] != ["--output", inside]:
                yield f"{container['name']} writes elsewhere than to {inside}"


def _artifact_mounts(some: list[Manifest]) -> list[Manifest]:
    return [m for each in some for m in each["volumeMounts"] if m["name"] == "artifact"]


@rule
def settings_are_known(manifests: list[Manifest]) -> Iterator[str]:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for _, pod in pods(_of(manifests, "Deployment")):
        told = _settings(manifests, pod)
        if not told:
            yield "the server gets no settings"
        for name in sorted(told.keys() - known):
            yield f"the server has no setting {name}"
        [server] = pod["spec"]["containers"]
        places = [mount["mountPath"] for mount in server["volumeMounts"]]
        if (file := told.get("SHAPSERVE_API_KEYS_FILE")) and file.rpartition("/")[0] not in places:
            yield f"nothing is mounted where {file} is"


@rule
def references_are_there(manifests: list[Manifest]) -> Iterator[str]:
    """ConfigMaps by the name that kustomize gave them, and the ServiceAccount."""
    maps = {each["metadata"]["name"]: each.get("data", {}) for each in _of(manifests, "ConfigMap")}
    accounts = {each["metadata"]["name"] for each in _of(manifests, "ServiceAccount")}
    for kind, pod in pods(manifests):
        if accounts and pod["spec"].get("serviceAccountName") not in accounts:
            yield f"{kind}: no such ServiceAccount"
        for path, node in _walk(pod):
            if path.endswith((".configMapRef", ".configMapKeyRef", ".configMap")):
                if (name := node["name"]) not in maps:
                    yield f"{path}: no ConfigMap {name}"
                elif node.get("key", next(iter(maps[name]))) not in maps[name]:
                    yield f"{path}: no key {node['key']} in {name}"


@rule
def the_autoscaler_scales_what_is_there(manifests: list[Manifest]) -> Iterator[str]:
    deployed = {
        (each["apiVersion"], each["kind"], each["metadata"]["name"]): each["spec"]
        for each in _of(manifests, "Deployment")
    }
    for scaler in _of(manifests, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        found = deployed.get((target["apiVersion"], target["kind"], target["name"]))
        if found is None:
            yield f"the autoscaler's target {target['name']} is not there"
        elif "replicas" in found:
            yield "the Deployment's replicas would undo the autoscaler's work"
        if [metric["type"] for metric in scaler["spec"]["metrics"]] != ["Pods", "Resource"]:
            yield "the autoscaler does not look at queues and, failing that, processors"
        if not 2 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]:
            yield "the autoscaler leaves no replica to spare"


@rule
def all_is_in_one_namespace(manifests: list[Manifest]) -> Iterator[str]:
    spaces = {
        each["metadata"].get("namespace") for each in manifests if each["kind"] != "Namespace"
    }
    spaces |= {each["metadata"]["name"] for each in _of(manifests, "Namespace")}
    if len(spaces) != 1 or None in spaces:
        yield f"namespaces {spaces}"


@rule
def what_is_made_can_be_found_again(manifests: list[Manifest]) -> Iterator[str]:
    """By the label that remove.sh asks for; a Namespace, with all that is in it, must not be."""
    for manifest in manifests:
        told = manifest["metadata"].get("labels", {}).get(LABEL, "")
        if (manifest["kind"] == "Namespace") == told.startswith("shapserve"):
            yield f"{manifest['kind']} {manifest['metadata']['name']} has the label {told!r}"


@rule
def images_are_named(manifests: list[Manifest]) -> Iterator[str]:
    """With a version, and all of one pod with the same."""
    for kind, pod in pods(manifests):
        images = {container["image"] for container in containers(pod)}
        if len(images) > 1:
            yield f"{kind} has several images: {images}"
        for image in images:
            tag = image.rpartition("/")[2].partition(":")[2]
            if tag in {"", "latest"}:
                yield f"{kind}: {image} has no version"


@rule
def no_secret_is_here(manifests: list[Manifest]) -> Iterator[str]:
    for _ in _of(manifests, "Secret"):
        yield "a Secret is in the repository"
