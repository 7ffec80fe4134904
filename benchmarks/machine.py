"""What the figures were measured on, and how it is held to one thread."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ONE_THREAD = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"], "1"
)
"""For the environment, before NumPy is imported."""

LIBRARIES = ("numpy", "scipy", "scikit-learn", "onnxruntime", "lightgbm", "shap")


def facts():
    """Cores, versions and load; nothing that tells whose machine it is."""
    told = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    told |= {library: version(library) for library in LIBRARIES}
    if hasattr(os, "getloadavg"):
        told["load average before"] = f"{os.getloadavg()[0]:.1f}"
    return told


@contextmanager
def one_cpu():
    """Keep this process on one processor; ONNX Runtime then takes one thread, as BLAS does."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
