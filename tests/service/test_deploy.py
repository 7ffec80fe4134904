"""What `deploy/components/monitoring` says about metrics, held against those that there are."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from service import errors
from tests.service.fakes import ROWS, fake_scorer
from tests.service.serving import served

MONITORING = Path(__file__).parents[2] / "deploy" / "components" / "monitoring"

ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
TARGETS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
VARIABLES = {
    each["name"]: each["query"]["query"]
    for each in DASHBOARD["templating"]["list"]
    if each["type"] == "query"
}
ADAPTER = {
    rule["name"]["as"]: rule["metricsQuery"]
    .replace("<<.GroupBy>>", "stage")
    .replace(",<<.LabelMatchers>>", "")
    for rule in yaml.safe_load((MONITORING / "prometheus-adapter.yaml").read_text("utf-8"))[
        "rules"
    ]["custom"]
}
EXPRESSIONS = ALERTS | TARGETS | VARIABLES | ADAPTER

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.MULTILINE)
LABEL = re.compile(r'(\w+)(=~|=)"([^"]*)"')


@pytest.fixture(scope="module")
def exposed():
    """Every metric's name, with the labels and values that it was seen with."""
    scorer = fake_scorer()
    really_score = scorer.explainer.score

    def sampled(rows, deadline_ms=None):
        scored = really_score(rows, deadline_ms)
        errors = np.full_like(scored.explanation.values, 0.01)
        told = replace(scored.explanation, standard_errors=errors, background_error=0.02)
        return replace(scored, explanation=told)

    object.__setattr__(scorer.explainer, "score", sampled)
    with served({"houses": scorer}) as client:
        assert client.post("/score", json=ROWS).status_code == 200
        assert client.post("/score", json=[]).status_code == 422
        text = client.get("/metrics").text
    seen: dict[str, dict[str, set[str]]] = {}
    for name, labels in SAMPLE.findall(text):
        known = seen.setdefault(name, {})
        for label, _, value in LABEL.findall(labels):
            known.setdefault(label, set()).add(value)
    return seen


def test_there_is_something_to_check():
    assert len(ALERTS) >= 8
    assert len(TARGETS) >= 15
    assert set(VARIABLES) == {"model", "route"}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_every_metric_is_exposed_with_its_labels(exposed, case):
    expression = EXPRESSIONS[case]
    names = re.findall(r"\b(?:shapserve|process)_\w+", expression)
    assert names
    for name in names:
        assert name in exposed, name
    [name, *others] = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}
    assert not others, "an expression is about one metric"
    labels = set().union(*(exposed[n] for n in exposed if n.startswith(name)))
    for label in re.findall(r"by \(([^)]*)\)", expression):
        assert {part.strip() for part in label.split(",")} <= labels
    assert {label for label, _, _ in LABEL.findall(expression)} <= labels
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_values_that_are_named_exist(exposed, case):
    codes = {kind.code for kind in vars(errors).values() if hasattr(kind, "code")}
    found = {label: set() for label in ("le", "stage", "outcome")} | {"code": codes}
    for labels in exposed.values():
        for label, values in labels.items():
            found.setdefault(label, set()).update(values)
    for label, sign, value in LABEL.findall(EXPRESSIONS[case]):
        if sign == "=":
            assert value in found[label], (label, value)


def test_panels_do_not_lie_on_one_another():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
