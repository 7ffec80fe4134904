"""`shapserve fetch`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from service.cli.options import option

__all__ = ["fetch"]

_MOST = 2 * 2**30


@click.command()
@click.argument("uri")
@option("--output", type=click.Path(path_type=Path), required=True, help="Directory to make.")
@option("--sha256", required=True, help="The artifact_sha256 that it must have.")
@option("--max-bytes", type=click.IntRange(min=1), default=_MOST,
        help="Most bytes to fetch, and most that an archive may have when unpacked.")  # fmt: skip
def fetch(uri: str, output: Path, sha256: str, max_bytes: int) -> None:
    """Fetch the artifact at a URI into a directory, verify it, or leave nothing.

    The URI is of file://, s3://, gs://, az://, http:// or https://, and names an artifact's
    directory, or a .tar, .tar.gz, .tgz or .zip of one. Credentials come from the environment, as
    each store's own tools take them.
    """
    from service.fetch.fetch import fetch as fetch_artifact

    # Process 1 of a container heeds no signal by itself, and what was begun is to be cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    fetched = fetch_artifact(uri, output, sha256, max_bytes)
    click.echo(f"{output}: {'fetched and verified' if fetched else 'there already'}", err=True)
