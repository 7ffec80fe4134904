"""Columns from an Arrow IPC stream: numbers as arrays without a copy, texts as Python has them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import LISTED_VIOLATIONS
from scoring.feature import Feature
from scoring.schema import FeatureSchema
from service.codec.arrow_frames import Batch, Field, broken, read_frames
from service.codec.flatbuffer import BrokenBuffer
from service.codec.orientations import Columns, check_count, check_names
from service.errors import TooManyRows, UnreadableBody

__all__ = ["INDEX", "read_arrow"]

INDEX = "__index_level_0__"
"""The name that pandas gives an index without one, as pyarrow writes it."""

MOST_TEXT = 64 * 2**20
"""Bytes of text and of dictionaries that a stream may unfold to: views may share what they show."""

_OBJECT_BYTES = 64  # of one Python value, roughly


def read_arrow(body: bytes, schema: FeatureSchema, max_rows: int) -> Columns:
    """Read the columns of a stream, of any number of batches.

    Numbers, booleans, texts, text views, and dictionaries of these are read. `index` counts the
    rows, or is the index that pandas wrote.

    Raises
    ------
    UnreadableBody
        It is no Arrow IPC stream.
    UnsupportedMedia
        It is one with compressed buffers.
    TooManyRows
    """
    try:
        return _read(body, schema, max_rows)
    except (BrokenBuffer, struct.error):
        raise broken() from None


def _read(body: bytes, schema: FeatureSchema, max_rows: int) -> Columns:
    # More columns than are named one by one where they are wrong are not worth a look at each.
    most_columns = 2 * schema.n_features + LISTED_VIOLATIONS
    messages, found = read_frames(body, most_columns), Columns()
    fields = next(messages)
    assert isinstance(fields, list)  # noqa: S101 the first message is the schema
    given = [each.name for each in fields]
    labelled = INDEX in given and INDEX not in schema.names
    check_names(
        [name for name in given if name != INDEX or not labelled], schema.names, found.broken
    )
    unread = [each.name for each in fields if not each.kind]
    for name in unread:
        rule = "must be of numbers, booleans or text, or a dictionary of these"
        found.broken.add(None, name if name in schema.names else None, rule)
    if unread:  # how many buffers such a column has is not known
        return found
    wanted = set(schema.names) | ({INDEX} if labelled else set())
    stream = _Stream(fields, wanted)
    for batch in messages:
        assert isinstance(batch, Batch)  # noqa: S101 there is one schema
        if batch.dictionary is not None:
            stream.learn(batch)
            continue
        if stream.n_rows + batch.n_rows > max_rows:
            raise TooManyRows(max_rows)
        stream.add(batch)
    check_count(stream.n_rows, max_rows, found.broken)
    features = {feature.name: feature for feature in schema.features}
    found.values = {
        name: _as_schema(features[name], pieces)
        for name, pieces in stream.pieces.items()
        if name in features and given.count(name) == 1
    }
    found.index = _objects(stream.pieces[INDEX]) if labelled else range(stream.n_rows)
    return found


@dataclass(frozen=True, eq=False)
class _Piece:
    """A column's values in one batch: an array, or a list; None, or `present`, for the missing."""

    values: NDArray[Any] | list[Any]
    present: NDArray[np.bool_] | None = None

    def objects(self) -> list[Any]:
        """Plain Python values, None where one is missing."""
        if isinstance(self.values, list):
            return self.values
        values: list[Any] = self.values.tolist()
        if self.present is None:
            return values
        return [value if here else None for value, here in zip(values, self.present, strict=True)]


@dataclass(eq=False)
class _Stream:
    """What is read of a stream so far."""

    fields: list[Field]
    wanted: set[str]
    n_rows: int = 0
    pieces: dict[str, list[_Piece]] = field(default_factory=dict)
    dictionaries: dict[int, list[Any]] = field(default_factory=dict)
    text_left: int = MOST_TEXT

    def __post_init__(self) -> None:
        self.pieces = {each.name: [] for each in self.fields if each.name in self.wanted}

    def learn(self, batch: Batch) -> None:
        """Read the values of a dictionary."""
        known = [each for each in self.fields if each.dictionary == batch.dictionary]
        if not known or len(batch.nodes) != 1 or known[0].kind == "null":
            raise broken()
        assert batch.dictionary is not None  # noqa: S101 the caller's choice
        self._spend(_OBJECT_BYTES * batch.n_rows)
        cursor = _Cursor(batch, self._spend)
        values = cursor.values(known[0].kind).objects()
        if batch.delta:  # in place: a stream may bring them one by one
            self.dictionaries.setdefault(batch.dictionary, []).extend(values)
        else:
            self.dictionaries[batch.dictionary] = values

    def add(self, batch: Batch) -> None:
        """Read rows."""
        if len(batch.nodes) != len(self.fields):
            raise broken()
        cursor = _Cursor(batch, self._spend)
        for each in self.fields:
            letters = each.kind if each.dictionary is None else each.index
            if each.name not in self.wanted:
                cursor.skip(letters)
                continue
            piece = cursor.values(letters)
            if each.dictionary is not None:
                piece = self._looked_up(piece, self.dictionaries.get(each.dictionary, []))
            self.pieces[each.name].append(piece)
        self.n_rows += batch.n_rows

    def _looked_up(self, piece: _Piece, values: list[Any]) -> _Piece:
        codes = piece.values
        if isinstance(codes, list) or codes.dtype.kind not in "iu":
            raise broken()
        seen = codes if piece.present is None else codes[piece.present]
        if len(seen) and not 0 <= int(seen.min()) <= int(seen.max()) < len(values):
            raise broken()
        return _Piece([None if code is None else values[code] for code in piece.objects()])

    def _spend(self, n_bytes: int) -> None:
        self.text_left -= n_bytes
        if self.text_left < 0:
            raise UnreadableBody(
                f"The stream's text must not unfold to more than {MOST_TEXT} bytes."
            )


class _Cursor:
    """Goes through the nodes and buffers of a batch, column by column."""

    def __init__(self, batch: Batch, spend: Any) -> None:
        self.n_rows, self._spend = batch.n_rows, spend
        self._nodes, self._buffers = iter(batch.nodes), iter(batch.buffers)
        self._variadic = iter(batch.variadic)

    def skip(self, kind: str) -> None:
        """Pass over a column."""
        next(self._nodes)
        n_buffers = {"null": 0, "text": 3, "large text": 3}.get(kind, 2)
        n_buffers += self._take(self._variadic) if kind == "text view" else 0
        for _ in range(n_buffers):
            self._take(self._buffers)

    def values(self, kind: str) -> _Piece:
        """Read a column."""
        length, n_missing = next(self._nodes)
        if length != self.n_rows:
            raise broken()
        if kind == "null":
            return _Piece([None] * self.n_rows)
        bitmap = self._take(self._buffers)
        present = _bits(bitmap, self.n_rows) if n_missing else None
        if kind == "bits":
            return _Piece(_bits(self._take(self._buffers), self.n_rows), present)
        if kind == "text view":
            texts = self._views()
        elif kind in {"text", "large text"}:
            texts = self._texts("<i4" if kind == "text" else "<i8")
        else:
            numbers = _numbers(self._take(self._buffers), f"<{kind}", self.n_rows)
            return _Piece(numbers, present)
        if present is None:
            return _Piece(_decoded(texts))
        pairs = zip(texts, present, strict=True)
        return _Piece(_decoded(text if here else None for text, here in pairs))

    def _texts(self, offsets: str) -> Iterator[bytes]:
        places, data = self._take(self._buffers), self._take(self._buffers)
        if not self.n_rows:  # there may be no offset at all
            return iter(())
        ends = _numbers(places, offsets, self.n_rows + 1)
        if ends[0] < 0 or ends[-1] > len(data) or (ends[1:] < ends[:-1]).any():
            raise broken()
        self._spend(int(ends[-1] - ends[0]))
        return (bytes(data[a:b]) for a, b in pairwise(ends.tolist()))

    def _views(self) -> Iterator[bytes]:
        views = bytes(self._take(self._buffers))
        lengths = _numbers(memoryview(views), "<i4", 4 * self.n_rows)[::4]
        if (lengths < 0).any():
            raise broken()
        self._spend(int(lengths.sum(dtype=np.int64)))
        texts = [self._take(self._buffers) for _ in range(self._take(self._variadic))]
        return (_seen(views, 16 * row, texts) for row in range(self.n_rows))

    @staticmethod
    def _take(items: Iterator[Any]) -> Any:
        item = next(items, None)
        if item is None:
            raise broken()
        return item


def _seen(views: bytes, place: int, texts: Sequence[memoryview]) -> bytes:
    """The text that a view shows: its own, or a part of a buffer."""
    (length,) = struct.unpack_from("<i", views, place)
    if length <= 12:
        return views[place + 4 : place + 4 + length]
    which, start = struct.unpack_from("<ii", views, place + 8)
    if not 0 <= which < len(texts) or not 0 <= start <= len(texts[which]) - length:
        raise broken()
    return bytes(texts[which][start : start + length])


def _decoded(texts: Any) -> list[Any]:
    try:
        return [None if text is None else text.decode("utf-8") for text in texts]
    except UnicodeDecodeError:
        raise broken() from None


def _bits(buffer: memoryview, count: int) -> NDArray[np.bool_]:
    packed = _numbers(buffer, "u1", (count + 7) // 8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)


def _numbers(buffer: memoryview, dtype: str, count: int) -> NDArray[Any]:
    if len(buffer) < count * np.dtype(dtype).itemsize:
        raise broken()
    return np.frombuffer(buffer, dtype, count)


def _objects(pieces: Sequence[_Piece]) -> list[Any]:
    return [value for piece in pieces for value in piece.objects()]


def _as_schema(feature: Feature, pieces: Sequence[_Piece]) -> Sequence[Any] | NDArray[Any]:
    """A column as the schema likes it: numbers as an array with NaN for what is missing."""
    if feature.is_category or not pieces:
        return _objects(pieces)
    flags = feature.kind == "boolean"
    parts = []
    for piece in pieces:
        values = piece.values
        if isinstance(values, list) or (values.dtype.kind == "b") != flags:
            return _objects(pieces)
        if piece.present is not None:
            if flags:
                return _objects(pieces)
            values = np.where(piece.present, values, np.nan)
        parts.append(values)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
