"""Arrow streams as pyarrow writes them, and with bytes of them spoilt."""

from __future__ import annotations

import pyarrow as pa

from tests.service.fakes import ROWS

TABLE = pa.table(
    {
        "age": [row["age"] for row in ROWS],
        "rooms": pa.array([row["rooms"] for row in ROWS], pa.int64()),
        "owner": [row["owner"] for row in ROWS],
        "city": [row["city"] for row in ROWS],
        "plan": [row["plan"] for row in ROWS],
    }
)


def written(table, chunk=None, **options):
    """A table as pyarrow streams it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        out.write_table(table, max_chunksize=chunk)
    return sink.getvalue().to_pybytes()


def with_column(name, column, table=TABLE):
    return table.set_column(table.column_names.index(name), name, column)


CAST = {
    "as it is": TABLE,
    "reordered": TABLE.select(list(reversed(TABLE.column_names))),
    "single": with_column("age", TABLE["age"].cast(pa.float32())),
    "bytes": with_column("rooms", TABLE["rooms"].cast(pa.uint8())),
    "floats": with_column("rooms", TABLE["rooms"].cast(pa.float64())),
    "large text": with_column("city", TABLE["city"].cast(pa.large_string())),
    "text views": with_column("city", TABLE["city"].cast(pa.string_view())),
    "dictionary": with_column("city", TABLE["city"].dictionary_encode()),
    "gaps in a dictionary": with_column("plan", TABLE["plan"].dictionary_encode()),
}


def spoilt(rng, body):
    """A stream with some of its bytes changed, or cut off."""
    body = bytearray(body or b"\0")
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        place = rng.randrange(len(body))
        match rng.randrange(5):
            case 0:
                body[place] = rng.randrange(256)
            case 1:
                body[place] ^= 1 << rng.randrange(8)
            case 2:
                body[place] = rng.choice([0, 255])
            case 3:
                number = rng.choice([2**31 - 1, 2**63 - 1, 2**40, 2**64 - 1, 1000, 0])
                body[place : place + 8] = number.to_bytes(8, "little")
            case _:
                body = body[:place] or body
    return bytes(body)


SEEDS = [written(table, 2) for table in CAST.values()]
