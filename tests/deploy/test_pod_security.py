"""Every pod meets the Pod Security Standard `restricted`, rule by rule, and more than that."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.rendering import VARIANTS, Manifest, one, render, write_variant
from tests.deploy.rules import containers, pods

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
           "projected", "secret"}  # fmt: skip


def contexts(pod):
    """The security contexts of a pod and of its containers."""
    return [each.get("securityContext", {}) for each in (pod["spec"], *containers(pod))]


def of_each(pod, name):
    """What counts for each container: its own setting, or else the pod's."""
    whole, *own = contexts(pod)
    return [context.get(name, whole.get(name)) for context in own]


# Each rule of the standard, baseline's first; a pod must have nothing but truth.
RULES: dict[str, Callable[[Manifest], list[bool]]] = {
    "host namespaces": lambda pod: [
        not pod["spec"].get(name) for name in ("hostNetwork", "hostPID", "hostIPC")
    ],
    "host process": lambda pod: ["windowsOptions" not in each for each in contexts(pod)],
    "privileged": lambda pod: [not each.get("privileged") for each in contexts(pod)],
    "capabilities": lambda pod: [
        each.get("securityContext", {}).get("capabilities") == {"drop": ["ALL"]}
        for each in containers(pod)
    ],
    "volume types": lambda pod: [
        volume.keys() - {"name"} <= VOLUMES for volume in pod["spec"]["volumes"]
    ],
    "host ports": lambda pod: [
        not port.get("hostPort") for each in containers(pod) for port in each.get("ports", ())
    ],
    "host probes": lambda pod: [
        "host" not in probe.get("httpGet", {})
        for each in containers(pod)
        for name, probe in each.items()
        if name.endswith("Probe")
    ],
    "AppArmor": lambda pod: ["appArmorProfile" not in each for each in contexts(pod)],
    "SELinux": lambda pod: ["seLinuxOptions" not in each for each in contexts(pod)],
    "proc mount": lambda pod: ["procMount" not in each for each in contexts(pod)],
    "sysctls": lambda pod: ["sysctls" not in each for each in contexts(pod)],
    "privilege escalation": lambda pod: [
        each.get("securityContext", {}).get("allowPrivilegeEscalation") is False
        for each in containers(pod)
    ],
    "non-root": lambda pod: [value is True for value in of_each(pod, "runAsNonRoot")],
    "non-root user": lambda pod: [value not in {None, 0} for value in of_each(pod, "runAsUser")],
    "seccomp": lambda pod: [
        value == {"type": "RuntimeDefault"} for value in of_each(pod, "seccompProfile")
    ],
    # More than the standard asks for.
    "read-only root": lambda pod: [
        each.get("securityContext", {}).get("readOnlyRootFilesystem") is True
        for each in containers(pod)
    ],
    "no token": lambda pod: [pod["spec"].get("automountServiceAccountToken") is False],
    "no ephemeral storage without end": lambda pod: [
        "sizeLimit" in volume["emptyDir"]
        for volume in pod["spec"]["volumes"]
        if "emptyDir" in volume
    ],
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return {name: render(write_variant(name, tmp_path_factory.mktemp(name))) for name in VARIANTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_is_restricted(rendered, variant):
    found = list(pods(rendered[variant]))
    assert found
    for kind, pod in found:
        assert [rule for rule, holds in RULES.items() if not all(holds(pod))] == [], kind


@pytest.mark.parametrize("variant", ["local", "production"])
def test_the_namespace_takes_no_other_pods(rendered, variant):
    labels = one(rendered[variant], "Namespace")["metadata"]["labels"]
    modes = ("enforce", "audit", "warn")
    assert labels == {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
    account = one(rendered[variant], "ServiceAccount")
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("variant", ["local", "production"])
def test_a_service_called_shapserve_does_not_get_into_the_settings(rendered, variant):
    _, pod = next(pods(rendered[variant]))
    assert pod["spec"]["enableServiceLinks"] is False


def container(pod):
    return pod["spec"]["containers"][0]


def context(pod):
    return container(pod)["securityContext"]


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("host namespaces", lambda pod: pod["spec"].update(hostPID=True)),
        ("host process", lambda pod: context(pod).update(windowsOptions={"hostProcess": True})),
        ("privileged", lambda pod: context(pod).update(privileged=True)),
        ("capabilities", lambda pod: context(pod)["capabilities"].update(add=["NET_ADMIN"])),
        ("capabilities", lambda pod: context(pod).pop("capabilities")),
        ("volume types", lambda pod: pod["spec"]["volumes"].append({"name": "x", "hostPath": {}})),
        ("host ports", lambda pod: container(pod)["ports"][0].update(hostPort=80)),
        ("host probes", lambda pod: container(pod)["livenessProbe"]["httpGet"].update(host="x")),
        ("AppArmor", lambda pod: context(pod).update(appArmorProfile={"type": "Unconfined"})),
        ("SELinux", lambda pod: context(pod).update(seLinuxOptions={"user": "x"})),
        ("proc mount", lambda pod: context(pod).update(procMount="Unmasked")),
        ("sysctls", lambda pod: pod["spec"]["securityContext"].update(sysctls=[{"name": "x"}])),
        ("privilege escalation", lambda pod: context(pod).pop("allowPrivilegeEscalation")),
        ("non-root", lambda pod: context(pod).update(runAsNonRoot=False)),
        ("non-root user", lambda pod: pod["spec"]["securityContext"].update(runAsUser=0)),
        ("seccomp", lambda pod: pod["spec"]["securityContext"].pop("seccompProfile")),
        ("read-only root", lambda pod: context(pod).pop("readOnlyRootFilesystem")),
        ("no token", lambda pod: pod["spec"].pop("automountServiceAccountToken")),
        (
            "no ephemeral storage without end",
            lambda pod: pod["spec"]["volumes"][0]["emptyDir"].clear(),
        ),
    ],
)
def test_each_rule_is_seen_to_be_broken(rendered, rule, spoil):
    _, pod = next(pods(copy.deepcopy(rendered["local"])))
    spoil(pod)
    assert [name for name, holds in RULES.items() if not all(holds(pod))] == [rule]
