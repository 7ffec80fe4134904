"""Results as people look at them: tables, lines of text, pictures."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from scoring import GlobalExplanation, LocalExplanation, ParameterError
from tests.explanations import every_task, local, overall


def test_tables():
    explanation = local("three")
    for output, k in (("b", 1), (0, 0), (None, 2)):
        frame = explanation.to_frame(output)
        np.testing.assert_array_equal(frame.to_numpy(), explanation.values[..., k])
        assert list(frame.columns) == list(explanation.features)
        assert list(frame.index) == [0, 1, 2, 3]
    for wrong in ("d", 3, -1, True, ["a"]):
        with pytest.raises(ParameterError, match="output must be one of a, b, c"):
            explanation.to_frame(wrong)
    whole = overall("three")
    frame = whole.to_frame()
    assert list(frame.index) == whole.get_ranked_global_names()
    assert list(frame.columns) == ["importance", "a", "b", "c"]
    np.testing.assert_array_equal(frame["importance"], whole.get_ranked_global_values())
    deviations = replace(overall("value"), standard_deviations=np.arange(5.0))
    assert list(deviations.to_frame().columns) == ["importance", "standard deviation"]
    # An output may be called as a column of ours is, and no number gets lost.
    clash = replace(overall(), output_names=("importance", "yes")).to_frame()
    assert list(clash.columns) == ["importance", "importance", "yes"]
    np.testing.assert_array_equal(clash.iloc[:, 0], overall().get_ranked_global_values())


class Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "x" * 500])
def test_pictures_escape_names_and_close_what_they_open(name):
    features = (name, *(f"f{j}" for j in range(1, 40)))
    explanation = local("binary", n_rows=30, n_features=40, features=features)
    whole = GlobalExplanation(
        np.abs(explanation.values).mean(axis=0).T * np.arange(40, 0, -1), features,
        explanation.output_names, "probability", "method <i>", 30,
    )  # fmt: skip
    explanation = replace(explanation, output_names=("no", name))
    for page in (explanation._repr_html_(), whole._repr_html_()):
        parser = Parser()
        parser.feed(page)
        assert not parser.open
        assert parser.seen == {"div", "style", "b", "span", "table", "tbody", "tr", "td"}
        assert len(page) < 20_000
    assert "and 30 more features" in whole._repr_html_()
    assert "and 25 more rows" in explanation._repr_html_()


def test_bars_are_as_long_as_values_and_lie_on_their_side_of_zero():
    values = np.array([[[0.5], [-1.0], [0.0]]])
    explanation = LocalExplanation(
        values, np.zeros(1), values.sum(axis=1), ("up", "down", "none"), ("value",), "value",
        False, "m",
    )  # fmt: skip
    page = explanation._repr_html_()
    assert 'class="down" style="left:0.0%;width:50.0%"' in page
    assert 'class="up" style="left:50.0%;width:25.0%"' in page
    assert page.index("−1<") < page.index("+0.5<") < page.index("+0<")  # signs are written too


def test_what_is_not_finite_is_shown_as_it_is():
    for number in (np.nan, np.inf):
        explanation = replace(local(), values=np.full((4, 5, 2), number))
        assert f"{number:+.4g}" in explanation._repr_html_()
        assert str(number) in repr(explanation)
        whole = replace(overall(), per_output=np.full((2, 5), number))
        assert f"{number:.4g}" in whole._repr_html_()
        assert str(number) in repr(whole)


def test_a_surrogates_gap_is_no_features():
    explanation = local("value", n_rows=1, n_features=12)
    values = explanation.values[0, :, 0]
    shown = np.argsort(-np.abs(values))[:10]
    rest = values.sum() - values[shown].sum()
    page = replace(explanation, outputs=explanation.outputs + 100)._repr_html_()
    assert _others(page) == pytest.approx(rest, rel=1e-3)


def test_the_others_of_a_picture_are_one_line():
    page = local("value", n_rows=1, n_features=15)._repr_html_()
    assert page.count("<tr>") == 11
    assert "all others" in page
    assert "all others" not in local("value", n_rows=1)._repr_html_()
    part = local("value", n_rows=1).select([3, 1])
    assert part.remainder is not None  # for the type checker
    assert _others(part._repr_html_()) == pytest.approx(part.remainder[0, 0], rel=1e-3)


def _others(page):
    told = page.rpartition("all others")[2].partition('class="number">')[2].partition("<")[0]
    return float(told.replace("−", "-"))


@every_task
def test_a_line_of_text(task):
    for explanation in (local(task, n_rows=100, n_features=300), local(task, n_rows=0)):
        text = repr(explanation)
        assert len(text) < 400
        assert f"{explanation.num_examples} rows × {explanation.num_features} features" in text
        assert explanation.output_space in text
        assert "k-means" in text
        assert text.count("\n") == 1
    assert "5 features over 4 rows" in repr(overall(task))
    metric = replace(overall(task), output_space="f1_score")
    for shown in (repr(metric), metric._repr_html_()):
        assert "in units of f1_score" in shown
    wordy = local(task, features=("a\nb", "c" * 900, "d", "e", "f"))
    wordy = replace(wordy, method="m\n" * 9000, background="b" * 9000)
    assert len(repr(wordy)) < 700
    assert repr(wordy).count("\n") == 1
    assert "0 features" in repr(local(task, n_features=0))
