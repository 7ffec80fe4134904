"""`shapserve inspect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from scoring.artifact import artifact_sha256, read_manifest
from service.cli.options import option

__all__ = ["inspect"]

_SHOWN = 8  # items of a list


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def inspect(artifact: Path, *, as_json: bool) -> None:
    """Print what an ARTIFACT holds, and how faithful it is."""
    content = {"artifact_sha256": artifact_sha256(artifact), **read_manifest(artifact)}
    if as_json:
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_report(content)))


def _report(content: dict[str, Any]) -> Iterator[str]:
    features, files = content.pop("features"), content.pop("files")
    sections = {n: content.pop(n) for n in list(content) if isinstance(content[n], Mapping)}
    yield from _lines(content)
    yield f"\nfeatures ({len(features)})"
    yield from _table([_feature(feature) for feature in features])
    for name, section in sections.items():
        yield f"\n{name}"
        yield from _lines(section, indent="  ")
    yield f"\nfiles ({len(files)})"
    yield from _table([(name, f"{f['bytes']:,} bytes", f["sha256"]) for name, f in files.items()])


def _feature(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, type, what training saw, and what else is accepted."""
    low, high = feature.get("minimum"), feature.get("maximum")
    seen = _text(feature.get("categories") or [])
    if low is not None and high is not None:
        seen = f"{_text(low)} to {_text(high)}"
    also = [word for word in ("missing", "unseen") if feature.get(f"allows_{word}")]
    return feature["name"], feature["kind"], seen, f"or {' or '.join(also)}" if also else ""


def _lines(content: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Names and values, one a line; what is inside something stands further in."""
    width = max((len(name) for name in content), default=0)
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name.ljust(width)}  {_text(value)}"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _text(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    match value:
        case float():
            return f"{value:.6g}"
        case list():
            more = f" and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
            return ", ".join(_text(item) for item in value[:_SHOWN]) + more
        case dict():
            return " ".join(f"{name}={_text(item)}" for name, item in value.items())
    return str(value)
