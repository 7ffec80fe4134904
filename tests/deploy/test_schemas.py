"""Rendered manifests against Kubernetes' own schemas, of the three newest versions known here."""

import copy
import re

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions

from tests.deploy.rendering import VARIANTS, one, render, write_variant

NEWEST = sorted(
    {tuple(map(int, version.split(".")[:2])) for version in all_versions()}, reverse=True
)[:3]
CUSTOM = {"ServiceMonitor", "PrometheusRule"}  # whose schemas come with their operator


@pytest.fixture(scope="module", params=VARIANTS)
def rendered(request, tmp_path_factory):
    return render(write_variant(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.mark.parametrize("version", [f"{major}.{minor}" for major, minor in NEWEST])
def test_the_schemas_agree(rendered, version):
    for manifest in rendered:
        if manifest["kind"] not in CUSTOM:
            told = kubernetes_validate.validate(manifest, version, strict=True)
            assert told == version  # and not of an older one in its place


def test_there_are_three_versions():
    assert len(NEWEST) == 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec.update(replica=2), "replica"),
        (lambda spec: spec.update(replicas="two"), "two"),
        (lambda spec: spec.pop("selector"), "selector"),
        (
            lambda spec: spec["template"]["spec"]["containers"][0].update(livenessprobe={}),
            "livenessprobe",
        ),
    ],
)
def test_a_spoilt_manifest_is_refused(tmp_path, spoil, said):
    manifest = copy.deepcopy(one(render(write_variant("local", tmp_path)), "Deployment"))
    spoil(manifest["spec"])
    with pytest.raises(kubernetes_validate.ValidationError, match=re.escape(said)):
        kubernetes_validate.validate(manifest, ".".join(map(str, NEWEST[0])), strict=True)
