"""Tables of Markdown that also read well in a terminal."""

from __future__ import annotations


def table(header, lines):
    """Columns as wide as their widest cell; everything is text."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    lines = [header, ["-" * width for width in widths], *lines]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
