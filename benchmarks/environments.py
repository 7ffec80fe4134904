"""Peers whose dependencies clash with ours: a pinned environment each, made when first needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LISTS = Path(__file__).resolve().parent / "environments"
MADE = ROOT / "build" / "bench-envs"
NEEDS_311 = {"guide"}  # NumPy 1.23, its newest, has no builds for later versions
HOUR = 3600


class NotHere(Exception):
    """This environment cannot be made with this Python."""


def python_of(name):
    """The interpreter of an environment; packages come from where pip's own settings say."""
    if name in NEEDS_311 and sys.version_info[:2] != (3, 11):
        raise NotHere(f"{name}: needs Python 3.11")
    wanted = LISTS / f"{name}.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    home, python = MADE / name, MADE / name / "bin" / "python"
    stamp = home / "list.sha256"
    if not (stamp.exists() and stamp.read_text() == digest):
        print(f"environment {name}: installing", file=sys.stderr, flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        # The list is complete: nothing is resolved, so nothing but what it names comes in.
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps"]
        _run([*pip, "--require-hashes", "-r", str(wanted)])
        stamp.write_text(digest)
    return python


def run(python, module, job):
    """What a worker answers to a job of arrays; it runs on one thread, as everything does."""
    with tempfile.TemporaryDirectory() as directory:
        question, answer = Path(directory, "job.npz"), Path(directory, "answer.json")
        np.savez(question, **job)
        _run([str(python), "-m", module, str(question), str(answer)])
        return json.loads(answer.read_text(encoding="utf-8"))


def draw(results, directory):
    """Plots of a run, beside it."""
    _run([str(python_of("plots")), "-m", "benchmarks.plots", str(results), str(directory)])


def _run(command):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 commands of this file's own
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HOUR,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
