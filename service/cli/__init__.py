"""The command `shapserve`. Each error is one line, and an exit code other than 0."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from service.cli.distil import distil
from service.cli.failures import FORESEEN, told
from service.cli.fetch import fetch
from service.cli.inspect import inspect
from service.cli.key import key
from service.cli.score import score
from service.cli.serve import serve

__all__ = ["main", "run"]

_CONTEXT = {"auto_envvar_prefix": "SHAPSERVE", "help_option_names": ["-h", "--help"]}


@click.group(context_settings=_CONTEXT)
@click.version_option(message="%(prog)s %(version)s", package_name="shapserve")
def cli() -> None:
    """Predictions and, for every row, why: distil an explainer, serve it, score with it."""


for command in (distil, fetch, serve, score, inspect, key):
    cli.add_command(command)


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    try:
        done = cli.main(list(arguments), prog_name="shapserve", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return _fail("interrupted", 130)
    except FORESEEN as exc:
        message = told(exc)
        if message is None:
            raise
        return _fail(message, exc.exit_code if isinstance(exc, click.ClickException) else 1)
    return done if isinstance(done, int) else 0


def _fail(message: str, code: int = 1) -> int:
    click.echo(f"shapserve: {' '.join(message.split())}", err=True)
    return code
