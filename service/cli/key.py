"""`shapserve key`."""

from __future__ import annotations

import click

from service.cli.options import option
from service.keys import ROLES, Role, new_key
from service.settings import NAME

__all__ = ["key"]


@click.command()
@option("--name", required=True, help="Name of whoever will hold the key; it goes into the log.")
@option("--role", type=click.Choice(ROLES), default="score", help="What the key opens.")
def key(name: str, role: Role) -> None:
    """Print a new random API key, and below it the line by which a server knows it.

    The key is kept nowhere. The line holds only its digest; put it into the file that
    --api-keys-file names.
    """
    if not NAME.fullmatch(name):
        rule = "must be of letters, digits, dots, dashes and underscores, 64 at most."
        raise click.BadParameter(rule, param_hint="--name")
    secret, line = new_key(name, role)
    click.echo(secret)
    click.echo(line)
