"""The fake explainer, held up on purpose."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from scoring.explanation import Scored
from scoring.table import Table
from service.scorer import Scorer
from tests.service.fakes import FakeExplainer, fake_scorer

SECONDS = 30  # far more than anything here takes


@dataclass(frozen=True, eq=False)
class SlowExplainer(FakeExplainer):
    """Waits for `go`, then takes some time a call and a row; notes each call's rows."""

    call_seconds: float = 0.0
    row_seconds: float = 0.0
    go: threading.Event = field(default_factory=threading.Event)
    calls: list[int] = field(default_factory=list)

    def score(
        self, rows: Table, deadline_ms: float | None = None, *, explain: Any = True, **rest: Any
    ) -> Scored:
        self.calls.append(rows.n_rows)
        assert self.go.wait(SECONDS)
        time.sleep(self.call_seconds + self.row_seconds * rows.n_rows)
        return super().score(rows, deadline_ms, explain=explain, **rest)


def slow_scorer(
    call_seconds: float = 0.0, row_seconds: float = 0.0
) -> tuple[Scorer, SlowExplainer]:
    """A scorer of it, that goes until `go` is cleared."""
    fake = fake_scorer()
    assert isinstance(fake.explainer, FakeExplainer)
    own = fake.explainer
    explainer = SlowExplainer(
        own.model,
        own.name,
        own.sample,
        call_seconds=call_seconds,
        row_seconds=row_seconds,
    )
    explainer.go.set()
    return replace(fake, explainer=explainer), explainer
