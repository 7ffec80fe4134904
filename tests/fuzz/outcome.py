"""What came of a case."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Result = Literal["right", "refused", "unsteady", "finding", "timeout", "died"]


@dataclass(frozen=True)
class Finding:
    """One kind of fault.

    Parameters
    ----------
    kind : label, output, gap, values, refused row, answered row, warning, http, csv, cli, crash.
    text : what differs, or the exception's first line.
    cells : the cells that make a row fail, as `blame` tells them.
    row : the place among the case's rows.
    """

    kind: str
    text: str
    cells: tuple[str, ...] = ()
    row: int | None = None

    @property
    def group(self) -> str:
        """The kind and a text without names and numbers."""
        return f"{self.kind}: {plain(self.text)}"


@dataclass
class Outcome:
    """What came of one case; plain values, so that it can be sent and written."""

    seed: int
    estimator: str = ""
    transformers: list[str] = field(default_factory=list)
    n_columns: int = 0
    result: Result = "right"
    refusal: str = ""
    method: str = ""
    form: str = ""
    n_answered: int = 0
    n_refused: int = 0
    n_brute: int = 0
    n_too_far: int = 0
    served: bool = False
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Keep one finding of each kind and cause."""
        same = [(f.group, f.cells) for f in self.findings]
        if (finding.group, finding.cells) not in same:
            self.findings.append(finding)
        self.result = "finding"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plain(text: str) -> str:
    """A message without the names, numbers and values that it quotes."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text.partition("\n")[0])
    text = re.sub(r"\[[^\]]*\]", "[…]", text)
    text = re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "N", text)
    return text[:300]


def first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
