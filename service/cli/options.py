"""Options: how they look, and those that are the server's settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from service.cli.files import read_json
from service.settings import ENV_PREFIX

__all__ = ["dtypes_of", "names", "option", "read_settings", "settings_options"]

C = TypeVar("C", bound=Callable[..., Any])
S = TypeVar("S", bound=BaseSettings)

option = partial(click.option, show_envvar=True, show_default=True)
"""An option whose help names its environment variable."""


def names(text: str) -> list[str]:
    """Split names with commas between them; spaces may be part of a name."""
    return [name for part in text.split(",") if (name := part.strip())]


def dtypes_of(text: str) -> dict[str, str]:
    """Read dtypes from `name=dtype` with commas between, or from a JSON file with an object."""
    if text.lower().endswith(".json"):
        given = read_json(Path(text))
    else:
        given = {}
        for pair in names(text):
            name, equals, dtype = pair.rpartition("=")
            if not equals or name in given:
                raise click.ClickException(f"--dtypes {pair} must be NAME=DTYPE, each name once.")
            given[name.strip()] = dtype.strip()
    if not all(isinstance(dtype, str) and dtype for dtype in given.values()):
        raise click.ClickException(
            "--dtypes must give a name to every dtype, such as str or int64."
        )
    return given


def settings_options(settings: type[BaseSettings]) -> Callable[[C], C]:
    """Make an option of every setting; what is not given is left to the environment."""

    def decorate(command: C) -> C:
        for name, field in reversed(settings.model_fields.items()):
            command = _setting_option(name, field)(command)
        return command

    return decorate


def _setting_option(name: str, field: FieldInfo) -> Callable[[C], C]:
    several = get_origin(field.annotation) is tuple
    note = f"env var: {ENV_PREFIX}{name.upper()}"
    if several:
        note += ", with spaces or commas between"
    elif field.default not in (None, False):
        note += f"; default: {field.default}"
    return click.option(
        f"--{name.replace('_', '-')}",
        multiple=several,
        is_flag=field.annotation is bool,
        default=None,  # so that what is not given is left to the environment
        help=f"{field.description}  [{note}]",
        metavar=_metavar(field.annotation),
        allow_from_autoenv=False,
    )


def _metavar(annotation: Any) -> str | None:
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    kinds = {annotation, *get_args(annotation)}
    if bool in kinds:
        return None
    if Path in kinds:
        return "PATH"
    return "INTEGER" if int in kinds else "NUMBER" if float in kinds else "TEXT"


def read_settings(settings: type[S], given: dict[str, Any]) -> S:
    """Read the settings from what was given on the command line, and the environment.

    Raises
    ------
    ClickException
        With everything that is wrong, in one line, by the name under which it was given.
    """
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    try:
        return settings(**chosen)
    except ValidationError as exc:
        raise click.ClickException("; ".join(_told(e, chosen) for e in exc.errors())) from None


def _told(error: Any, chosen: dict[str, Any]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return str(message)
    name = str(error["loc"][0])
    place = f"--{name.replace('_', '-')}" if name in chosen else ENV_PREFIX + name.upper()
    return f"{place}: {message[0].lower()}{message[1:]}"
