"""`shapserve serve`."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import Any

import click
import uvicorn

from service.app import create_app
from service.cli.options import read_settings, settings_options
from service.scorer import load_scorers
from service.settings import Settings

__all__ = ["serve"]

_GRACE_SECONDS = 20  # for requests that are under way; Kubernetes waits 30 before it kills

logger = logging.getLogger("shapserve")


@click.command()
@settings_options(Settings)
def serve(**given: Any) -> None:
    """Serve artifacts over HTTP, until SIGTERM or Ctrl-C."""
    settings = read_settings(Settings, given)
    if not settings.artifact:
        raise click.ClickException("--artifact or SHAPSERVE_ARTIFACT must name an artifact.")
    _log_to_stderr(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it is done
        signal.signal(number, lambda *_: sys.exit(0))
    with _bind(settings.host, settings.port) as listener:
        app = create_app(settings, load_scorers(settings.sources))
        config = uvicorn.Config(
            app,
            http="h11",  # httptools drops the body of a request that offers an upgrade to HTTP/2
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells where it is to be found, once it is."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        for listener in sockets or ():
            logger.info("ready on %s", _url(listener))


def _bind(host: str, port: int) -> socket.socket:
    """Take the address before anything is loaded; who connects early waits for the server."""
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as exc:
        raise click.ClickException(f"cannot listen on {host} port {port}: {exc.strerror}") from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log_to_stderr(level: str) -> None:
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), format=form, stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its warnings are about clients' oddities
