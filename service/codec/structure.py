"""How much a body of JSON or CSV holds, told from its bytes before it is parsed.

A parsed value takes up to thirty times its bytes, so a body of many tiny ones is turned away first.
"""

from __future__ import annotations

import re

from service.errors import TooManyValues

__all__ = ["check_cells", "check_structure"]

_ALWAYS_READ = 64 * 1024
"""Bytes that are parsed whatever they hold."""
_BESIDES = 1000
"""Values and brackets that a body may have beside its rows: headers, options, an envelope."""
_HEAD = 16
"""Values of a tensor beside its data: name, shape, datatype, parameters."""
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A text; one without end goes to the end, else each quote in it would be tried as a beginning."""
_QUOTED = re.compile(rb'(?:^|(?<=[,\r\n]))"(?:[^"]++|"")*+"')
"""A cell in quotes; where a cell does not begin with one, quotes are text like any other."""


def check_structure(body: bytes, n_features: int, max_rows: int, *, tensors: bool = False) -> None:
    """Refuse a body with more values than `max_rows` rows have, or more objects and lists.

    Parameters
    ----------
    body : JSON; anything else is left to the parser.
    n_features : values of a row; a label may come with it.
    tensors : whether each feature is a tensor, in which each value may be a list of its own.

    Raises
    ------
    TooManyValues
    """
    if len(body) <= _ALWAYS_READ:
        return
    values, brackets = max_rows * (n_features + 1) + _BESIDES, max_rows + n_features + _BESIDES
    if tensors:
        values += _HEAD * n_features
        brackets = values
    commas, opened = body.count(b","), body.count(b"{") + body.count(b"[")
    if commas <= values and opened <= brackets:
        return
    # Commas and brackets inside texts are no structure. Looking at each text is only worth it where
    # there are no more of them than keys and values.
    texts = (body.count(b'"') - body.count(b'\\"')) // 2
    if texts <= 2 * values:
        for text in _TEXT.finditer(body):  # a loop, so that other threads have their turn
            commas -= text[0].count(b",")
            opened -= text[0].count(b"{") + text[0].count(b"[")
        if commas <= values and opened <= brackets:
            return
    raise TooManyValues(max_rows)


def check_cells(body: bytes, n_features: int, max_rows: int) -> None:
    """Refuse a body with more cells than `max_rows` rows have.

    Parameters
    ----------
    body : CSV; anything else is left to its reader.

    Raises
    ------
    TooManyValues
    """
    cells, commas = max_rows * (n_features + 1) + _BESIDES, body.count(b",")
    if len(body) <= _ALWAYS_READ or commas <= cells:
        return
    for quoted in _QUOTED.finditer(body):  # commas in them part nothing
        commas -= quoted[0].count(b",")
    if commas > cells:
        raise TooManyValues(max_rows)
