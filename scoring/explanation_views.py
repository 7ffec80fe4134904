"""Explanations as people look at them: a line of text, a table, a picture in a notebook."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.predictor import OutputSpace

if TYPE_CHECKING:
    from scoring.explanation import GlobalExplanation, LocalExplanation

__all__ = [
    "global_frame",
    "global_html",
    "global_text",
    "local_frame",
    "local_html",
    "local_text",
]

NAMED = 3
"""Features in a line of text."""

SHOWN_FEATURES = 10
SHOWN_ROWS = 5
LONGEST_NAME = 40
LONGEST_FACT = 160

STYLE = """
.shapserve{font:13px/1.45 system-ui,sans-serif;max-width:46em;color:inherit}
.shapserve table{border-collapse:collapse;table-layout:fixed;width:100%;margin:.3em 0 1em}
.shapserve td{padding:1px 8px;border:0;text-align:left;background:none;font:inherit;color:inherit}
.shapserve table{font:inherit;color:inherit}
.shapserve td.name{overflow-wrap:anywhere}
.shapserve td.number{text-align:right;font-variant-numeric:tabular-nums;width:7em}
.shapserve td.bar{width:50%}
.shapserve .track{position:relative;height:.85em;background:rgba(128,128,128,.15)}
.shapserve .track span{position:absolute;top:0;bottom:0}
.shapserve .up{background:#0072b2}.shapserve .down{background:#d55e00}
.shapserve .quiet{opacity:.7}
"""
"""Blue and vermilion tell apart for every kind of colour vision (Okabe and Ito, "Color universal
design", 2008); the sign is written beside the bar as well."""


def local_text(explanation: LocalExplanation) -> str:
    """Say what a local explanation is, in a few lines."""
    n_rows, n_features, n_outputs = explanation.values.shape
    some = explanation.values.size
    mean = np.abs(explanation.values).mean(axis=(0, 2)) if some else np.zeros(n_features)
    size = f"{n_rows} rows × {n_features} features × {n_outputs} outputs"
    return _text("LocalExplanation", size, explanation, mean)


def global_text(explanation: GlobalExplanation) -> str:
    """Say what a global explanation is, in a few lines."""
    size = f"{explanation.num_features} features over {explanation.n_rows} rows"
    return _text("GlobalExplanation", size, explanation, explanation.values)


def _text(kind: str, size: str, explanation: Any, importance: NDArray[np.float64]) -> str:
    order = np.argsort(-importance, kind="stable")[:NAMED]
    strongest = ", ".join(f"{_short(explanation.features[j])} {importance[j]:.3g}" for j in order)
    method = _short(explanation.method, LONGEST_FACT)
    against = f"; background: {explanation.background}" if explanation.background else ""
    against = _short(against, LONGEST_FACT)
    return (
        f"<{kind}: {size}, {_units(explanation.output_space)}, by {method}{against}\n"
        f" strongest: {strongest}>"
    )


def local_frame(explanation: LocalExplanation, output: Any) -> Any:
    """One output's values as a DataFrame (n_rows, n_features).

    Raises
    ------
    ParameterError
        An output that there is not.
    """
    import pandas as pd

    names = explanation.output_names
    known: dict[Any, int] = {name: k for k, name in enumerate(names)}
    known |= {None: len(names) - 1} | {k: k for k in range(len(names))}
    if isinstance(output, bool) or not isinstance(output, Hashable) or output not in known:
        rule = f"must be one of {', '.join(names)}, or an index up to {len(names) - 1}"
        raise ParameterError("output", rule)
    return pd.DataFrame(explanation.values[:, :, known[output]], columns=list(explanation.features))


def global_frame(explanation: GlobalExplanation) -> Any:
    """Importance of each feature, over all and per output, as a DataFrame."""
    import pandas as pd

    names, columns = ["importance"], [explanation.values]
    if len(explanation.output_names) > 1:
        names += explanation.output_names
        columns += list(explanation.per_output)
    if explanation.standard_deviations is not None:
        names.append("standard deviation")
        columns.append(explanation.standard_deviations)
    index = pd.Index(list(explanation.features), name="feature")
    # A list of names: an output may be called "importance" as well.
    frame = pd.DataFrame(np.column_stack(columns), index=index, columns=names)
    return frame.iloc[explanation.get_global_importance_rank()]


def local_html(explanation: LocalExplanation) -> str:
    """The strongest features of the first rows, as bars left and right of zero."""
    n_rows, k = len(explanation.values), len(explanation.output_names) - 1
    shown = explanation.values[:SHOWN_ROWS, :, k]
    widest = float(np.nanmax(np.abs(shown), initial=0.0)) or 1.0
    size = f"{n_rows} rows" if not k else f"{n_rows} rows, the last of {k + 1} outputs"
    parts = [_heading("Local explanation", explanation, size)]
    for row, values in enumerate(shown):
        base, output = explanation.base_values[k], explanation.outputs[row, k]
        name = explanation.output_names[k]
        title = f"row {row}: output {name} = {output:.4g}, base value {base:.4g}"
        parts.append(f"<div>{escape(title)}</div>")
        order = np.argsort(-np.abs(values), kind="stable")[:SHOWN_FEATURES]
        lines = [(explanation.features[j], values[j]) for j in order]
        unlisted = 0.0 if explanation.remainder is None else explanation.remainder[row, k]
        if len(explanation.features) > SHOWN_FEATURES or explanation.remainder is not None:
            # Of the values, not of the output: a surrogate's gap is no feature's.
            lines.append(("all others", np.delete(values, order).sum() + unlisted))
        parts.append(_table(lines, widest, signed=True))
    if n_rows > SHOWN_ROWS:
        parts.append(f'<div class="quiet">and {n_rows - SHOWN_ROWS} more rows</div>')
    return _page(parts)


def global_html(explanation: GlobalExplanation) -> str:
    """The most important features, as bars."""
    order = explanation.get_global_importance_rank()[:SHOWN_FEATURES]
    lines = [(explanation.features[j], explanation.values[j]) for j in order]
    widest = max((abs(float(value)) for _, value in lines), default=0.0) or 1.0
    parts = [_heading("Global explanation", explanation, f"{explanation.n_rows} rows")]
    parts.append(_table(lines, widest, signed=bool((explanation.values < 0).any())))
    if explanation.num_features > SHOWN_FEATURES:
        more = explanation.num_features - SHOWN_FEATURES
        parts.append(f'<div class="quiet">and {more} more features</div>')
    return _page(parts)


def _heading(title: str, explanation: Any, size: str) -> str:
    facts = [size, _units(explanation.output_space), explanation.method]
    facts += [f"background: {explanation.background}"] if explanation.background else []
    quiet = escape(" · ".join(facts))
    return f'<div><b>{title}</b> <span class="quiet">{quiet}</span></div>'


def _table(lines: Iterable[tuple[str, float]], widest: float, *, signed: bool) -> str:
    rows = []
    for name, value in lines:
        share = 0.0 if not np.isfinite(value) else min(1.0, abs(float(value)) / widest)
        width = 50 * share if signed else 100 * share
        left = 0.0 if not signed else 50 - width if value < 0 else 50.0
        bar = f'<span class="{"down" if value < 0 else "up"}" '
        bar += f'style="left:{left:.1f}%;width:{width:.1f}%"></span>'
        text = f"{value:+.4g}" if signed else f"{value:.4g}"
        rows.append(
            f'<tr><td class="name">{escape(_short(name))}</td>'
            f'<td class="bar"><div class="track">{bar}</div></td>'
            f'<td class="number">{text.replace("-", "−")}</td></tr>'
        )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _units(space: str) -> str:
    """What values are in; permutation importance has a metric's units instead of a space's."""
    return f"in {space} space" if space in get_args(OutputSpace) else f"in units of {_short(space)}"


def _page(parts: Sequence[str]) -> str:
    return f'<div class="shapserve"><style>{STYLE}</style>{"".join(parts)}</div>'


def _short(text: str, longest: int = LONGEST_NAME) -> str:
    """One line of text."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
