"""An Arrow IPC stream taken apart: its schema, and where the buffers of its batches lie.

The small libraries that read Arrow streams crash, or end the process, when a stream lies about
its sizes: they are made for files of one's own. So what a client sends is read here: every length
is checked before it is used, and arrays are views of the body.
https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from service.codec.flatbuffer import FlatTable, root
from service.errors import UnreadableBody, UnsupportedMedia

__all__ = ["Batch", "Field", "broken", "read_frames"]

MOST_MESSAGES = 20_000

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_VERSIONS = {3, 4}  # V4 and V5
_INT, _FLOAT, _NULL, _TEXT, _BOOL = 2, 3, 1, 5, 6
_LARGE_TEXT, _TEXT_VIEW = 20, 24
_TYPES = {_NULL: "null", _TEXT: "text", _LARGE_TEXT: "large text", _TEXT_VIEW: "text view"}


@dataclass(frozen=True)
class Field:
    """One column of the stream.

    Parameters
    ----------
    kind : a NumPy dtype's letters, `bits` for booleans, `text`, `large text`, `text view`,
        `null`, or '' for a type that is not read here.
    dictionary : the id of the dictionary that holds the values, whose indices are of type `index`.
    """

    name: str
    kind: str
    dictionary: int | None = None
    index: str = ""


@dataclass(frozen=True)
class Batch:
    """Rows, or the values of a dictionary.

    Parameters
    ----------
    n_rows : as the batch says.
    nodes : per column how many values it has, and how many of them are missing.
    buffers : the bytes of each buffer, in order; nothing is copied.
    variadic : per column of text views how many buffers of text it has.
    dictionary : which one it is; None for rows.
    delta : whether its values come after those that are there.
    """

    n_rows: int
    nodes: list[tuple[int, int]]
    buffers: list[memoryview]
    variadic: list[int]
    dictionary: int | None = None
    delta: bool = False


def broken() -> UnreadableBody:
    """The refusal of a stream that is none."""
    return UnreadableBody("The body must be an Arrow IPC stream; it breaks the format.")


def read_frames(body: bytes, most_columns: int) -> Iterator[list[Field] | Batch]:
    """Give the schema, then each batch.

    Parameters
    ----------
    most_columns : that the schema may have; a few bytes may stand for many, which share them.

    Raises
    ------
    UnreadableBody
    UnsupportedMedia
        Buffers are compressed, or numbers big-endian.
    BrokenBuffer, struct.error
        A message breaks its own format.
    """
    place, seen_schema, budget = 0, False, MOST_MESSAGES
    while frame := _next_frame(body, place):
        if not (budget := budget - 1):
            raise UnreadableBody(
                f"An Arrow stream must not have more than {MOST_MESSAGES} messages."
            )
        head, start, place = frame
        kind, header = head.number(1, "B"), head.table(2)
        if header is None or head.number(0, "h") not in _VERSIONS:
            raise broken()
        if not seen_schema:
            if kind != _SCHEMA:
                raise broken()
            yield _schema(header, most_columns)
            seen_schema = True
        elif kind == _RECORDS:
            yield _batch(header, memoryview(body)[start:place])
        elif kind == _DICTIONARY:
            yield _dictionary(header, memoryview(body)[start:place])
        else:
            raise broken()
    if not seen_schema:
        raise broken()


def _next_frame(body: bytes, place: int) -> tuple[FlatTable, int, int] | None:
    """The next message, where its buffers start and where they end; None at the stream's end."""
    if place == len(body):
        return None
    (length,) = struct.unpack_from("<I", body, place)
    place += 4
    if length == _CONTINUATION:  # older streams do without
        (length,) = struct.unpack_from("<I", body, place)
        place += 4
    if length == 0:
        return None
    start = place + length
    if start > len(body):
        raise broken()
    message = root(body[place:start])
    end = start + message.number(3, "q")
    if not start <= end <= len(body):
        raise broken()
    return message, start, end


def _schema(header: FlatTable, most_columns: int) -> list[Field]:
    if header.number(0, "h") != 0:
        raise UnsupportedMedia("Send an Arrow stream of little-endian numbers.")
    if header.count(1) > most_columns:
        message = f"An Arrow stream must not have more than {most_columns} columns for this model."
        raise UnreadableBody(message)
    fields, letters = [], 0
    for table in header.tables(1):
        fields.append(_field(table))
        letters += len(fields[-1].name)
        if letters > len(header.data):  # many columns that share the text of one name
            raise broken()
    return fields


def _field(table: FlatTable) -> Field:
    name, encoding = table.text(0), table.table(4)
    kind = _kind(table.number(2, "B"), table.table(3))
    if encoding is None:
        return Field(name, kind)
    index = encoding.table(1)
    letters = "i4" if index is None else _kind(_INT, index)
    return Field(name, kind if letters else "", encoding.number(0, "q"), letters)


def _kind(number: int, kind: FlatTable | None) -> str:
    if number == _BOOL:
        return "bits"
    if number == _INT and kind is not None:
        width = kind.number(0, "i")
        letter = "i" if kind.number(1, "B") else "u"
        return f"{letter}{width // 8}" if width in {8, 16, 32, 64} else ""
    if number == _FLOAT and kind is not None:
        return {0: "f2", 1: "f4", 2: "f8"}.get(kind.number(0, "h"), "")
    return _TYPES.get(number, "")


def _batch(header: FlatTable, buffers: memoryview) -> Batch:
    if header.table(3) is not None:
        raise UnsupportedMedia(
            "Send Arrow buffers uncompressed: what compressed ones grow to is not bounded."
        )
    found = []
    for offset, length in header.pairs(2):
        if not (offset >= 0 and length >= 0 and offset + length <= len(buffers)):
            raise broken()
        found.append(buffers[offset : offset + length])
    n_rows = header.number(0, "q")
    if n_rows < 0:
        raise broken()
    return Batch(n_rows, header.pairs(1), found, header.longs(4))


def _dictionary(header: FlatTable, buffers: memoryview) -> Batch:
    table = header.table(1)
    if table is None:
        raise broken()
    values = _batch(table, buffers)
    return Batch(
        values.n_rows,
        values.nodes,
        values.buffers,
        values.variadic,
        header.number(0, "q"),
        bool(header.number(2, "B")),
    )
