"""Where worker processes add up for drift together: a file for each artifact that is served."""

from __future__ import annotations

from pathlib import Path

from service.scorer import Scorer

__all__ = ["DriftFiles"]


class DriftFiles:
    """The files, as one worker sees them.

    Parameters
    ----------
    directory : shared by all workers, and by nobody else.
    number : of this worker, from 1; one that takes its place has the same.
    n_workers : how many there are.
    """

    def __init__(self, directory: Path, number: int, n_workers: int) -> None:
        self._directory, self._place, self._n_places = directory, number - 1, n_workers
        self._files: dict[str, Path] = {}

    def share(self, scorer: Scorer) -> None:
        """Let a scorer add up with those of the other workers; that of the old one is forgotten."""
        if scorer.drift is None:
            return
        file = self._directory / f"drift-{scorer.name}-{scorer.artifact_sha256}.sums"
        old = self._files.get(scorer.name, file)
        self._files[scorer.name] = file
        scorer.drift.share(file, self._place, self._n_places)
        if old != file:
            old.unlink(missing_ok=True)  # who still adds to it has it mapped
