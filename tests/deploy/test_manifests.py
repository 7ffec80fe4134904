"""Rendered manifests keep every rule, and each rule is seen to be broken once."""

import copy
import json
from typing import Any

import pytest
import yaml

from tests.deploy.rendering import DEPLOY, VARIANTS, one, render, write_variant
from tests.deploy.rules import LABEL, RULES


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Every variant, rendered once."""
    return {name: render(write_variant(name, tmp_path_factory.mktemp(name))) for name in VARIANTS}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_rule_is_kept(rendered, variant, rule):
    assert list(RULES[rule](rendered[variant])) == []


def settings(manifests):
    [found] = [each for each in manifests if "SHAPSERVE_PORT" in (each.get("data") or {})]
    return found["data"]


GONE = object()
POD = "Deployment.spec.template.spec."
SERVER = f"{POD}containers.0."
INIT = f"{POD}initContainers.0."
JOB = "Job.spec.template.spec."
SCALER = "HorizontalPodAutoscaler.spec."
SETTINGS = "ConfigMap.data.SHAPSERVE_"

SPOILT: dict[str, list[tuple[str, str, Any, str]]] = {
    "quantities_can_be_read": [
        ("local", f"{SERVER}resources.limits.memory", "512MB", "512MB is no quantity"),
        ("local", f"{POD}volumes.0.emptyDir.sizeLimit", "64 Mi", "64 Mi is no quantity"),
        ("production", f"{SCALER}metrics.0.pods.target.averageValue", "50ms", "50ms is no"),
    ],
    "resources_are_stated": [
        ("local", f"{SERVER}resources.limits.cpu", GONE, "no limit of cpu"),
        ("fetch", f"{INIT}resources", GONE, "fetch has no request"),
        ("smoke", f"{JOB}containers.0.resources.requests.memory", "1Gi", "more memory than"),
    ],
    "selectors_select": [
        ("local", "Service.spec.selector.tier", "x", "Service shapserve selects nothing"),
        ("local", "Deployment.spec.template.metadata.labels", {}, "Deployment shapserve selects"),
        ("local", f"{POD}topologySpreadConstraints.1.labelSelector.matchLabels.a", "b", "spread"),
        ("production", "PodDisruptionBudget.spec.selector.matchLabels.a", "b", "selects nothing"),
        ("production", "NetworkPolicy.spec.podSelector", {}, "NetworkPolicy shapserve selects"),
        ("production", "ServiceMonitor.spec.selector.matchLabels.a", "b", "ServiceMonitor selects"),
    ],
    "ports_exist": [
        ("local", "Service.spec.ports.0.targetPort", "web", "no port web in the pod"),
        ("local", "Service.spec.ports.0.targetPort", GONE, "no port 80 in the pod"),
        ("local", f"{SERVER}readinessProbe.httpGet.port", 8080, "readinessProbe: no such port"),
        ("local", f"{SETTINGS}PORT", "8080", "not the container's port"),
        ("production", "NetworkPolicy.spec.ingress.0.ports.0.port", "web", "no port web"),
        ("production", "ServiceMonitor.spec.endpoints.0.port", "metrics", "no port metrics"),
    ],
    "probes_mean_different_things": [
        ("local", f"{SERVER}startupProbe", GONE, "a probe is missing"),
        ("local", f"{SERVER}livenessProbe.httpGet.path", "/health/ready", "probes ask"),
        ("local", f"{SERVER}startupProbe.failureThreshold", 3, "fail after"),
    ],
    "the_pod_waits_for_the_drain": [
        ("local", f"{POD}terminationGracePeriodSeconds", GONE, "killed after 30 s"),
        ("local", f"{SETTINGS}DRAIN_SECONDS", "20", "ends within 50 s"),
    ],
    "mounts_have_volumes": [
        ("volume", f"{POD}volumes.0", GONE, "which are no volumes"),
        ("volume", f"{SERVER}volumeMounts.0", GONE, "which nothing mounts"),
        ("volume", f"{SERVER}volumeMounts.0.readOnly", GONE, "/artifact can be written to"),
        ("keys", f"{SERVER}volumeMounts.1.mountPath", "/etc/shapserve", "two volumes at one"),
        ("local", f"{SERVER}volumeMounts", [], "nowhere to write"),
    ],
    "the_artifact_is_where_the_server_looks": [
        ("volume", f"{SETTINGS}ARTIFACT", "/model", "looked for: /model"),
        ("fetch", f"{INIT}command.6", "/artifact", "fetch writes elsewhere"),
        ("fetch", f"{SERVER}volumeMounts.0.subPath", "model", "fetch writes elsewhere"),
    ],
    "settings_are_known": [
        ("local", f"{SETTINGS}DRAIN", "1", "no setting SHAPSERVE_DRAIN"),
        ("local", f"{SERVER}envFrom", GONE, "no settings"),
        ("keys", f"{SETTINGS}API_KEYS_FILE", "/keys/keys", "nothing is mounted"),
    ],
    "references_are_there": [
        ("local", f"{SERVER}envFrom.0.configMapRef.name", "shapserve", "no ConfigMap shapserve"),
        ("fetch", f"{INIT}env.0.valueFrom.configMapKeyRef.key", "URL", "no key URL"),
        ("smoke", f"{JOB}volumes.0.configMap.name", "x", "no ConfigMap x"),
        ("local", f"{POD}serviceAccountName", "default", "no such ServiceAccount"),
    ],
    "the_autoscaler_scales_what_is_there": [
        ("production", f"{SCALER}scaleTargetRef.name", "x", "target x is not there"),
        ("production", "Deployment.spec.replicas", 2, "undo the autoscaler's work"),
        ("production", f"{SCALER}metrics.1", GONE, "failing that, processors"),
        ("production", f"{SCALER}minReplicas", 1, "no replica to spare"),
    ],
    "all_is_in_one_namespace": [
        ("production", "PodDisruptionBudget.metadata.namespace", GONE, "namespaces"),
        ("production", "Namespace.metadata.name", "other", "namespaces"),
    ],
    "what_is_made_can_be_found_again": [
        ("production", "PrometheusRule.metadata.labels", GONE, "PrometheusRule shapserve has"),
        ("local", f"Namespace.metadata.labels.{LABEL}", "shapserve", "Namespace shapserve has"),
    ],
    "images_are_named": [
        ("local", f"{SERVER}image", "registry.example:5000/credit", "has no version"),
        ("local", f"{SERVER}image", "credit:latest", "has no version"),
        ("fetch", f"{SERVER}image", "credit:2", "several images"),
    ],
    "no_secret_is_here": [
        ("keys", "Service.kind", "Secret", "a Secret is in the repository"),
    ],
}  # fmt: skip
"""Per rule, manifests that break it: a variant, a place in it, what stands there, what is said."""


def spoil(manifests, place, value):
    """Change one thing, of the first manifest of its kind that has it."""
    kind, *way = place.replace(LABEL, "LABEL").split(".")
    way = [LABEL if step == "LABEL" else int(step) if step.isdecimal() else step for step in way]
    for manifest in manifests:
        inner = manifest
        for step in way[:-1]:
            inner = inner[step] if isinstance(step, int) else inner.get(step)
            if inner is None:
                break
        else:
            fits = kind != "ConfigMap" or "SHAPSERVE_PORT" in inner
            if manifest["kind"] == kind and fits:
                if value is GONE:
                    del inner[way[-1]]
                else:
                    inner[way[-1]] = value
                return
    raise LookupError(place)


@pytest.mark.parametrize(
    ("rule", "variant", "place", "value", "said"),
    [(rule, *case) for rule, cases in SPOILT.items() for case in cases],
)
def test_the_rule_can_be_broken(rendered, rule, variant, place, value, said):
    manifests = copy.deepcopy(rendered[variant])
    spoil(manifests, place, value)
    complaints = list(RULES[rule](manifests))
    assert any(said in complaint for complaint in complaints), complaints


def test_every_rule_is_broken_once():
    assert SPOILT.keys() == RULES.keys()


def test_the_job_does_not_answer_for_the_server(rendered):
    """In one namespace, as they are, the Service finds the server alone."""
    both = copy.deepcopy(rendered["local"] + rendered["smoke"])
    assert list(RULES["selectors_select"](both)) == []
    one(both, "Job")["spec"]["template"]["metadata"]["labels"][LABEL] = "shapserve"
    complaints = list(RULES["selectors_select"](both))
    assert any("Service shapserve selects" in complaint for complaint in complaints)


def test_alerts_are_the_same_in_both_forms(rendered):
    alerts = yaml.safe_load((DEPLOY / "components/monitoring/alerts.yaml").read_text("utf-8"))
    assert one(rendered["production"], "PrometheusRule")["spec"] == alerts


def test_files_are_what_config_maps_hold(rendered):
    found = {
        name: content
        for variant in ("production", "smoke")
        for each in rendered[variant]
        if each["kind"] == "ConfigMap"
        for name, content in each["data"].items()
    }
    assert found["smoke.sh"] == (DEPLOY / "smoke.sh").read_text("utf-8")
    dashboard = DEPLOY / "components/monitoring/grafana-dashboard.json"
    assert json.loads(found["grafana-dashboard.json"]) == json.loads(dashboard.read_text("utf-8"))


def test_a_change_of_settings_is_a_rollout(rendered, tmp_path):
    directory = write_variant("local", tmp_path)
    with (directory / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write(
            "configMapGenerator:\n  - name: shapserve\n    behavior: merge\n"
            "    literals: [SHAPSERVE_LOG_LEVEL=warning]\n"
        )
    changed = render(directory)
    assert settings(changed)["SHAPSERVE_LOG_LEVEL"] == "warning"
    before, after = (
        one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        for manifests in (rendered["local"], changed)
    )
    assert before != after


def test_the_autoscaler_asks_for_what_the_adapter_gives(rendered):
    values = yaml.safe_load((DEPLOY / "components/monitoring/prometheus-adapter.yaml").read_text())
    given = {each["name"]["as"] for each in values["rules"]["custom"]}
    metrics = one(rendered["production"], "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert {each["pods"]["metric"]["name"] for each in metrics if "pods" in each} == given
