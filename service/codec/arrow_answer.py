"""Scored rows as an Arrow IPC stream: a column for every number of a row, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.explanation import Scored
from service.codec.answer import NO_CLASSES, common, errors, plain_notes, to_json
from service.codec.rows import Rows
from service.codec.shown import Shown, probability_names, shown
from service.options import Options

__all__ = ["BATCH_ROWS", "METADATA", "arrow_answer"]

BATCH_ROWS = 1024
METADATA = "shapserve"
"""The key of the schema's metadata under which stands, as JSON, what is the same for all rows."""

_PREDICTED = "predicted"
_DEFAULT = Options()


def arrow_answer(
    scored: Scored,
    rows: Rows,
    model: dict[str, str],
    options: Options = _DEFAULT,
    classes: Mapping[Any, str] = NO_CLASSES,
) -> Iterator[bytes]:
    """Write the answer to a request, `BATCH_ROWS` rows at a time.

    Columns are `index`, `prediction`, `probability:CLASS`, `importance:OUTPUT:FEATURE`, where
    values were sampled `standard_error:OUTPUT:FEATURE`, where some are not listed
    `remainder:OUTPUT`, and `additivity_gap`. Where each row is explained for its own class,
    OUTPUT is `predicted`, and `explained_class` and `base_value` are columns. What is no finite
    number, not listed or not explained is null.

    Parameters
    ----------
    classes : per label of the model the name of its class, in the model's order.
    """
    import nanoarrow as na
    from nanoarrow.ipc import StreamWriter

    told = shown(scored, options, classes)
    columns = _Columns(scored, told, rows.index, probability_names(scored, classes))
    metadata = {METADATA: to_json(_metadata(scored, told, rows, model)).decode()}
    schema = na.c_schema(na.struct(columns.types())).modify(metadata=metadata)
    sink = _Sink()
    with StreamWriter.from_writable(sink) as writer:
        for start in range(0, len(rows.index), BATCH_ROWS):
            some = slice(start, min(start + BATCH_ROWS, len(rows.index)))
            children = list(columns.arrays(some))
            n_rows = some.stop - some.start
            batch = na.c_array_from_buffers(schema, n_rows, [None], children=children)
            writer.write_array(batch)
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """Where the writer writes to, until somebody takes it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: Any) -> int:
        """Keep a copy."""
        self._parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        """Return what was written since."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _metadata(scored: Scored, told: Shown, rows: Rows, model: dict[str, str]) -> dict[str, Any]:
    """What is the same for all rows, as the JSON answer has it."""
    base = {} if told.classes is not None else {"base_values": told.base_values}
    return {
        **base,
        **common(scored, told),
        "warnings": plain_notes(rows.table.notes),
        "errors": errors(scored, told.additivity_gap),
        "model": model,
    }


class _Columns:
    """The columns of an answer: what they are called, and what is in them for some rows."""

    def __init__(
        self, scored: Scored, told: Shown, index: Sequence[Any], chances: Sequence[str]
    ) -> None:
        self._scored, self._told = scored, told
        self._gap = told.additivity_gap
        self._features = scored.explanation.features
        self._outputs = told.names if told.classes is None else (_PREDICTED,)
        self._index = _Values(index)
        several = scored.predictions.ndim == 2
        targets = scored.predictions.T if several else [scored.predictions]
        names = [f"prediction:{k}" for k in range(len(targets))] if several else ["prediction"]
        targets_ = [_Values(target.tolist()) for target in targets]
        self._predictions = dict(zip(names, targets_, strict=True))
        self._probabilities = [f"probability:{name}" for name in chances]
        self._place = np.arange(len(index))
        if scored.explained is not None:
            self._place = np.full(len(index), -1)
            self._place[scored.explained] = np.arange(len(scored.explained))

    def types(self) -> dict[str, Any]:
        """The Arrow type of each column, in order."""
        import nanoarrow as na

        found: dict[str, Any] = {"index": self._index.type()}
        found |= {name: values.type() for name, values in self._predictions.items()}
        found |= dict.fromkeys(self._probabilities, na.float64())
        if self._told.classes is not None:
            found |= {"explained_class": na.string(), "base_value": na.float64()}
        kinds = ["importance"] + ["standard_error"] * (self._told.standard_errors is not None)
        for kind in kinds:
            for output in self._outputs:
                names = [f"{kind}:{output}:{feature}" for feature in self._features]
                found |= dict.fromkeys(names, na.float64())
        if self._told.remainder is not None:
            found |= {f"remainder:{output}": na.float64() for output in self._outputs}
        found["additivity_gap"] = na.float64()
        if self._scored.explained is not None:
            found["explained"] = na.bool_()
        if self._scored.explanation.reason_codes is not None:
            found["reason_codes"] = na.string()
        return found

    def arrays(self, rows: slice) -> Iterator[Any]:
        """Give the columns of some rows, in the order of `types`."""
        import nanoarrow as na

        scored, told = self._scored, self._told
        for values in (self._index, *self._predictions.values()):
            yield values.array(rows)
        if scored.probabilities is not None:
            yield from map(_floats, scored.probabilities[rows].T)
        place = self._place[rows]
        here = place >= 0
        if told.classes is not None:
            names = [told.classes[k] if k >= 0 else None for k in place.tolist()]
            yield na.c_array(names, na.string())
            yield _floats(_placed(told.base_values[:, 0], place, here))
        for numbers in (told.values, told.standard_errors):
            if numbers is not None:
                yield from self._of_features(numbers, place, here)
        if told.remainder is not None:
            yield from map(_floats, _placed(told.remainder, place, here).T)
        yield _floats(_placed(self._gap, place, here))
        if scored.explained is not None:
            yield na.c_array(here.tolist(), na.bool_())
        codes = scored.explanation.reason_codes
        if codes is not None:
            texts = [to_json(codes[k]).decode() if k >= 0 else None for k in place.tolist()]
            yield na.c_array(texts, na.string())

    def _of_features(
        self, numbers: NDArray[np.float64], place: NDArray[np.intp], here: NDArray[np.bool_]
    ) -> Iterator[Any]:
        """A column for each output and feature of numbers (n_explained, n_listed, n_shown)."""
        some = _placed(numbers, place, here)
        if self._told.listed is not None:
            spread = np.full((len(place), len(self._features), some.shape[2]), np.nan)
            listed, known = self._told.listed[place[here]], spread[here]
            np.put_along_axis(known, listed, some[here], axis=1)
            spread[here] = known
            some = spread
        for by_feature in np.ascontiguousarray(some.transpose(2, 1, 0)):
            yield from map(_floats, by_feature)


class _Values:
    """A column of plain values, of whatever types they are."""

    def __init__(self, values: Sequence[Any]) -> None:
        kinds = {int} if isinstance(values, range) else set(map(type, values))
        if kinds == {bool}:
            self._kind = "bool_"
        elif kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
            self._kind = "int64"
        elif kinds <= {int, float}:
            self._kind = "float64"
        else:
            self._kind = "string"
        self._values = list(map(str, values)) if self._kind == "string" else values

    def type(self) -> Any:
        import nanoarrow as na

        return getattr(na, self._kind)()

    def array(self, rows: slice) -> Any:
        import nanoarrow as na

        some = self._values[rows]
        return (
            _floats(np.array(some, float))
            if self._kind == "float64"
            else na.c_array(some, self.type())
        )


def _placed(
    numbers: NDArray[np.float64], place: NDArray[np.intp], here: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What is known of each row; NaN for rows that are not explained."""
    answer = np.full((len(place), *numbers.shape[1:]), np.nan)
    answer[here] = numbers[place[here]]
    return answer


def _floats(column: NDArray[np.float64]) -> Any:
    """An array (n_rows,) of numbers; null where one is not finite."""
    import nanoarrow as na

    finite = np.isfinite(column)
    validity = None if finite.all() else np.packbits(finite, bitorder="little")
    buffers = [validity, np.ascontiguousarray(column, dtype=np.float64)]
    return na.c_array_from_buffers(na.float64(), len(column), buffers)
