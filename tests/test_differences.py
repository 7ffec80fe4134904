"""The page of differences names tests; each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "differences.md").read_text())


def test_every_difference_is_held_by_a_test_that_is_there():
    assert len(NAMED) > 30
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"


def test_every_line_of_its_tables_names_one():
    lines = (ROOT / "docs" / "differences.md").read_text().splitlines()
    rows = [
        line for line in lines if line.startswith("|") and not line.startswith(("|---", "| there"))
    ]
    assert rows
    assert all("`tests/" in line.rsplit("|", 2)[1] for line in rows)
