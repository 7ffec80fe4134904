"""The command `shapserve`. Each error is one line, and an exit code other than 0."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from scoring.errors import RowsError, ShapserveError
from service.cli.distil import distil
from service.cli.inspect import inspect
from service.cli.score import score
from service.cli.serve import serve

__all__ = ["main", "run"]

_SHOWN_VIOLATIONS = 5
_OFFLINE = {"joblib", "pandas", "pyarrow", "scipy", "shap", "sklearn", "skl2onnx", "skops", "tqdm"}
"""What a serving installation does without."""

_CONTEXT = {"auto_envvar_prefix": "SHAPSERVE", "help_option_names": ["-h", "--help"]}


@click.group(context_settings=_CONTEXT)
@click.version_option(message="%(prog)s %(version)s", package_name="shapserve")
def cli() -> None:
    """Predictions and, for every row, why: distil an explainer, serve it, score with it."""


for command in (distil, serve, score, inspect):
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
    except click.ClickException as exc:
        return _fail(exc.format_message(), exc.exit_code)
    except RowsError as exc:
        shown = [str(violation) for violation in exc.violations[:_SHOWN_VIOLATIONS]]
        more = exc.total - len(shown)
        shown += [f"and {more} more"] if more > 0 else []
        return _fail("the rows do not fit the schema: " + "; ".join(shown))
    except ShapserveError as exc:
        return _fail(str(exc))
    except ModuleNotFoundError as exc:
        if exc.name not in _OFFLINE:
            raise
        return _fail(f"{exc.name} is not installed here: pip install 'shapserve[distil]'")
    except click.Abort:
        return _fail("interrupted", 130)
    except OSError as exc:
        return _fail(": ".join(filter(None, [exc.filename, exc.strerror or str(exc)])))
    return done if isinstance(done, int) else 0


def _fail(message: str, code: int = 1) -> int:
    click.echo(f"shapserve: {' '.join(message.split())}", err=True)
    return code
