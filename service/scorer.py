"""A served model: the scoring explainer of one artifact, under a name.

Nothing is assigned after `__init__`, so any number of threads may score at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring import artifact, mapped
from scoring.errors import ParameterError, RowsError
from scoring.explanation import Scored
from scoring.inference import Wanted
from scoring.predictor import OutputSpace, Predictor
from scoring.reference import Reference
from scoring.refusals import answered
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.drift import Drift
from service.errors import BadOption, TooManyRows
from service.options import Choices, Options
from service.settings import NAME, Source

__all__ = [
    "Explainer",
    "RowsError",
    "Scored",
    "Scorer",
    "SharedScorers",
    "Table",
    "answered",
    "load_scorer",
    "load_scorers",
    "nameless_file",
    "scorer_from",
]

PAIR_BYTES = 16 * 2**20
"""What a request's interaction values may take: there is one for each pair of features."""


class Explainer(Protocol):
    """What is served: any scoring explainer."""

    @property
    def predictor(self) -> Predictor:
        """The model with its schema and output space."""

    @property
    def sample(self) -> NDArray[np.float64]:
        """Codes (n_features,) of a synthetic row."""

    @property
    def name(self) -> str:
        """The name given at distillation."""

    @property
    def version(self) -> str:
        """The version given at distillation."""

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what gets a value."""

    @property
    def reference(self) -> Reference | None:
        """How values were distributed at distillation, if that is known."""

    @property
    def output_spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that it explains, the default first."""

    def in_space(self, output_space: str) -> Explainer:
        """Return the explainer of one of them."""

    @property
    def block_bytes(self) -> int:
        """How much an explanation may allocate at a time."""

    def with_block_bytes(self, block_bytes: int) -> Explainer:
        """Return the same explainer with another bound."""

    def score(
        self,
        rows: Table,
        deadline_ms: float | None = None,
        *,
        explain: bool | Wanted = True,
        interactions: bool = False,
    ) -> Scored:
        """Predict and explain; `explain` may say which rows."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """One model as it is served.

    Parameters
    ----------
    name : how clients call it, in `/models/{name}/score`.
    artifact_sha256 : digest of the artifact's manifest.

    Attributes
    ----------
    drift : where values are added up, if the artifact has a reference to hold them against.
    """

    name: str
    explainer: Explainer
    artifact_sha256: str
    drift: Drift | None = field(init=False)

    def __post_init__(self) -> None:
        reference = self.explainer.reference
        drift = None if reference is None else Drift(reference, self.explainer.features)
        object.__setattr__(self, "drift", drift)  # the only way in a frozen class

    @property
    def schema(self) -> FeatureSchema:
        """What a row must look like."""
        return self.explainer.predictor.schema

    @property
    def sample(self) -> NDArray[np.float64]:
        """Codes (n_features,) of a synthetic row."""
        return self.explainer.sample

    @property
    def model(self) -> dict[str, str]:
        """Which model answers, for every answer."""
        return {
            "name": self.name,
            "version": self.explainer.version,
            "artifact_sha256": self.artifact_sha256,
        }

    @property
    def outputs(self) -> dict[str, Any]:
        """What is explained: the classes with the model's own labels, and the output space."""
        predictor = self.explainer.predictor
        pairs = zip(predictor.model.labels, predictor.classes, strict=True)
        return {
            "classes": [{"label": label, "name": name} for label, name in pairs],
            "outputs": predictor.output_names,
            "output_space": predictor.space,
            "output_spaces": self.output_spaces,
        }

    @property
    def output_spaces(self) -> tuple[str, ...]:
        """What a request may choose from, the default first."""
        return self.explainer.output_spaces

    @cached_property
    def classes(self) -> Mapping[Any, str]:
        """Per label of the model the name of its class, in the model's order; {} for none."""
        predictor = self.explainer.predictor
        labels = predictor.model.labels or predictor.classes
        return dict(zip(labels, predictor.classes, strict=True))

    @cached_property
    def choices(self) -> Choices:
        """What the options of a request may be."""
        spaces, predictor = self.output_spaces, self.explainer.predictor
        likely = "probability" in predictor.model.spaces
        if predictor.space == "probability":  # a function's answers need not be one for each class
            likely = len(predictor.output_names) == len(predictor.classes)
        explainers: dict[str, Any] = {space: self.explainer.in_space(space) for space in spaces}
        return Choices(
            spaces,
            {space: explainer.predictor.output_names for space, explainer in explainers.items()},
            predictor.classes,
            likely,
            tuple(space for space, explainer in explainers.items() if _explains_pairs(explainer)),
            tuple(getattr(self.explainer, "baselines", ())),
        )

    def score(self, table: Table, options: Options | None = None) -> Scored:
        """Predict and explain rows."""
        options = options or Options()
        explainer = self._explainer(options)
        if options.explain is True and not options.interactions:
            return explainer.score(table, options.deadline_ms)
        explain: bool | Wanted
        if isinstance(options.explain, bool):
            explain = options.explain
        else:
            explain = partial(options.explain.mask, classes=self.classes)
        pairs = options.interactions
        return explainer.score(table, options.deadline_ms, explain=explain, interactions=pairs)

    def _explainer(self, options: Options) -> Explainer:
        """The explainer of an output space, against a named background."""
        space = options.output_space
        explainer: Any = self.explainer if space is None else self.explainer.in_space(space)
        if options.baseline is not None:
            explainer = explainer.against(options.baseline)
        chosen: Explainer = explainer
        return chosen

    def check(self, table: Table, options: Options, *, as_arrow: bool = False) -> None:
        """Refuse what a request may not ask of its rows.

        Parameters
        ----------
        as_arrow : whether the answer is to be an Arrow stream, which has a column a number.

        Raises
        ------
        BadOption, TooManyRows
            Interactions are asked for that there are not, or of more rows than they are told of.
        """
        if not options.interactions:
            return
        if as_arrow:
            raise BadOption("Interactions are answered as JSON only.")
        explainer = self._explainer(options)
        if not _explains_pairs(explainer):
            raise BadOption("Interactions are not known against this baseline.")
        predictor = explainer.predictor
        per_row = 8 * predictor.schema.n_features**2 * len(predictor.output_names)
        most = max(1, PAIR_BYTES // per_row)
        if table.n_rows > most:
            raise TooManyRows(most)

    def observe(self, scored: Scored) -> None:
        """Add values up for drift: those of the space and the background that the reference is of.

        Values of a request that asked for other features, or left some out, are passed over.
        """
        explanation = scored.explanation
        first = explanation.output_space == self.explainer.predictor.space
        if self.drift is None or not first or explanation.baseline is not None:
            return
        if scored.explained is not None:  # chosen rows are not what comes in
            return
        if explanation.features == self.drift.features:
            self.drift.observe(explanation.values)

    def merged(self, tables: Sequence[Table]) -> Table:
        """Put the rows of several requests into one table, in order."""
        return Table.concatenate(tables, [len(known) for known in self.schema.code_tables])

    def warm_up(self) -> None:
        """Score the sample in every space: what cannot answer is found before a client comes."""
        sample = Table(self.sample[np.newaxis], self.schema.code_tables)
        for space in self.output_spaces:
            self.score(sample, Options(space))


def _explains_pairs(explainer: Any) -> bool:
    return bool(getattr(explainer, "explains_interactions", False))


Fit = Callable[[int], int]
"""From the bytes that an explanation wants at a time to those that it may have."""


def load_scorer(source: Source, fit: Fit | None = None) -> Scorer:
    """Load one artifact and let it answer once.

    Raises
    ------
    ShapserveError
        The artifact cannot be used, or its name is not fit for a URL.
    """
    return _prepared(_scorer(source, _content(source)), fit)


def load_scorers(sources: Iterable[Source], fit: Fit | None = None) -> dict[str, Scorer]:
    """Load artifacts and let each answer once; the first is the one that `/score` speaks to.

    Parameters
    ----------
    fit : asked when all artifacts are loaded.

    Raises
    ------
    ShapserveError
        An artifact cannot be used, or a name is not fit for a URL or given twice.
    """
    scorers = _by_name([_scorer(source, _content(source)) for source in sources])
    return {name: _prepared(scorer, fit) for name, scorer in scorers.items()}


class SharedScorers:
    """What processes that are forked from this one can share of the scorers.

    That is the content of every artifact, checked; and whole scorers, with what they work out
    before the first row, where NumPy is all that they run on.

    Parameters
    ----------
    fit : as for `load_scorers`.

    Raises
    ------
    ShapserveError
        As `load_scorers`.
    """

    def __init__(self, sources: Iterable[Source], fit: Fit | None = None) -> None:
        self._fit = fit
        shared = [(source, _content(source)) for source in sources]
        built = [_scorer(*each) if each[1].is_arrays else each for each in shared]
        del shared  # what is built needs the content no more
        self._ready: list[Scorer | tuple[Source, artifact.Content]] = [
            _prepared(each, fit) if isinstance(each, Scorer) else each for each in built
        ]

    def finish(self) -> dict[str, Scorer]:
        """Do the rest of `load_scorers`, in a process that was forked, which then has them alone.

        Raises
        ------
        ShapserveError
        """
        scorers = _by_name(
            each if isinstance(each, Scorer) else _prepared(_scorer(*each), self._fit)
            for each in self._ready
        )
        self._ready.clear()  # a scorer that is replaced later must be gone then
        return scorers

    def load_again(self, index: int, source: Source, into: int) -> tuple[str, Callable[[], None]]:
        """Load one of the artifacts again; nothing is exchanged yet.

        Parameters
        ----------
        index : of the artifact, in the order in which they were given.
        into : descriptor of an empty file for its content: see `scorer_from`.

        Returns
        -------
        The artifact's digest, and what exchanges it.

        Raises
        ------
        ShapserveError
        """
        content = artifact.read(source.directory, expect_sha256=source.sha256, into=into)
        if content.is_arrays:  # to see that it can; the workers there are have to do it themselves
            _prepared(_scorer(source, content), self._fit)

        def exchange() -> None:
            self._ready[index] = source, content

        return content.sha256, exchange


nameless_file = mapped.nameless


def scorer_from(fd: int, name: str, fit: Fit | None = None) -> Scorer:
    """Make a scorer of what another process has loaded again.

    Parameters
    ----------
    fd : descriptor of the file with the artifact's content, which it shares with all others.
    """
    return _prepared(_scorer(Source(name, Path(), None), artifact.read_mapped(fd)), fit)


def _content(source: Source) -> artifact.Content:
    _, directory, sha256 = source
    return artifact.read(directory, expect_sha256=sha256)


def _scorer(source: Source, content: artifact.Content) -> Scorer:
    name, directory, _ = source
    explainer = content.build()
    scorer = Scorer(name or explainer.name, explainer, content.sha256)
    if not NAME.fullmatch(scorer.name):
        rule = "must have a name of letters, digits, dots, dashes and underscores"
        raise ParameterError("artifact", rule, f"Give it as NAME=DIR for {directory}.")
    return scorer


def _by_name(scorers: Iterable[Scorer]) -> dict[str, Scorer]:
    named: dict[str, Scorer] = {}
    for scorer in scorers:
        if scorer.name in named:
            rule = f"must not bring two models called {scorer.name}"
            raise ParameterError("artifact", rule, "Give them as NAME=DIR.")
        named[scorer.name] = scorer
    return named


def _prepared(scorer: Scorer, fit: Fit | None) -> Scorer:
    """The same scorer with blocks of the size that fits; it has answered once."""
    wanted = scorer.explainer.block_bytes
    block_bytes = wanted if fit is None else fit(wanted)
    if block_bytes < wanted:
        scorer = replace(scorer, explainer=scorer.explainer.with_block_bytes(block_bytes))
    scorer.warm_up()
    return scorer
