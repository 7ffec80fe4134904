"""The exception tree; every exception takes facts and builds its message.

::

    ShapserveError
    ├── ParameterError    (ValueError)  an argument breaks a rule
    ├── RowsError         (ValueError)  rows break the feature schema
    ├── ModelError                      the model cannot do what is asked of it
    ├── FidelityError                   a distilled explainer misses the asked tolerance
    └── ArtifactError                   an artifact cannot be used
        ├── ArtifactMissing             a file is not there
        ├── ArtifactCorrupt             a file is not what the manifest says, or not well formed
        ├── ArtifactUntrusted           reading it would run code that nobody vouched for
        └── ArtifactUnsupported         another format version, or a library that is not installed

No message repeats a value of the client's data: rows name their row number, column and rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "LISTED_VIOLATIONS",
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactMissing",
    "ArtifactUnsupported",
    "ArtifactUntrusted",
    "FidelityError",
    "ModelError",
    "ParameterError",
    "RowsError",
    "ShapserveError",
    "Violation",
    "first_line",
]

LISTED_VIOLATIONS = 100
"""How many violations are kept in full; the rest is counted."""


class ShapserveError(Exception):
    """Anything this project raises on purpose."""


class ParameterError(ShapserveError, ValueError):
    """An argument breaks a rule.

    Parameters
    ----------
    parameter : the argument's name.
    rule : what it must be.
    fix : what to do about it; a full sentence.
    """

    def __init__(self, parameter: str, rule: str, fix: str = "") -> None:
        self.parameter, self.rule, self.fix = parameter, rule, fix
        super().__init__(f"{parameter} {rule}." + (f" {fix}" if fix else ""))


@dataclass(frozen=True)
class Violation:
    """One broken rule. `row` and `column` are None where the rule is about the whole body."""

    row: int | None
    column: str | None
    rule: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row is not None else []
        where += [f"column '{self.column}'"] if self.column is not None else []
        return f"{', '.join(where)}: {self.rule}" if where else self.rule


class RowsError(ShapserveError, ValueError):
    """Rows break the feature schema; all violations at once, the first hundred in full."""

    def __init__(self, violations: Sequence[Violation], total: int | None = None) -> None:
        self.violations = tuple(violations[:LISTED_VIOLATIONS])
        self.total = len(violations) if total is None else total
        more = self.total - len(self.violations)
        lines = [str(violation) for violation in self.violations]
        lines += [f"and {more} more"] if more > 0 else []
        super().__init__("the rows do not fit the schema: " + "; ".join(lines))

    def shifted(self, n_rows: int) -> RowsError:
        """Return the same error about rows that stand `n_rows` further on."""
        moved = (v if v.row is None else replace(v, row=v.row + n_rows) for v in self.violations)
        return RowsError(tuple(moved), self.total)


class ModelError(ShapserveError):
    """The model cannot do what is asked of it."""


class FidelityError(ShapserveError):
    """A distilled explainer misses the asked tolerance."""

    def __init__(
        self, error: float, tolerance: float, n_coalitions: int, baseline: str | None = None
    ) -> None:
        self.error, self.tolerance, self.n_coalitions = error, tolerance, n_coalitions
        self.baseline = baseline
        whose = "" if baseline is None else f" against baseline {baseline!r}"
        super().__init__(
            f"the relative RMS error{whose} is {error:.3g} with {n_coalitions} coalitions, "
            f"above the tolerance of {tolerance:.3g}. Raise n_coalitions or tolerance, or pass "
            "strict=False to record the miss in the report instead."
        )


class ArtifactError(ShapserveError):
    """An artifact cannot be used; names the file, what is wrong with it and the remedy."""

    def __init__(self, file: object, problem: str, remedy: str) -> None:
        self.file, self.problem, self.remedy = str(file), problem, remedy
        super().__init__(f"{file}: {problem}. {remedy}")


class ArtifactMissing(ArtifactError):
    """A file of the artifact is not there."""


class ArtifactCorrupt(ArtifactError):
    """A file is not what the manifest says, or not well formed."""


class ArtifactUntrusted(ArtifactError):
    """Reading the file would run code that nobody vouched for."""


class ArtifactUnsupported(ArtifactError):
    """Another format version, or a library that is not installed here."""


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__
