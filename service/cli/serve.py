"""`shapserve serve`."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import ssl
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import uvicorn

from scoring.machine import memory_limit, usable_cpus
from service import garbage, logs
from service.agreement import Team
from service.cli.failures import FORESEEN, told
from service.cli.options import read_settings, settings_options
from service.drain import Drain, DrainingServer
from service.memory import block_bytes_that_fit, resident_bytes
from service.processes import CannotServe, Ready, Supervisor
from service.scorer import Fit, Scorer, SharedScorers, load_scorers
from service.settings import Settings

__all__ = ["serve"]

_MARGIN_SECONDS = 5  # before a worker that does not keep to its times is killed

# Longer than load balancers keep a connection that they do not use, mostly 60 seconds: who closes
# first must not be the side that a request may be on its way to.
_KEEP_ALIVE_SECONDS = 75

_SERVES = ("service.app", "service.connection", "uvicorn.lifespan.on", "uvloop",
           "anyio._backends._asyncio")  # fmt: skip

logger = logging.getLogger("shapserve")


@click.command()
@settings_options(Settings)
def serve(**given: Any) -> None:
    """Serve artifacts over HTTP, until SIGTERM or Ctrl-C."""
    settings = read_settings(Settings, given)
    tls = _tls(settings)
    if not settings.artifact:
        raise click.ClickException("--artifact or SHAPSERVE_ARTIFACT must name an artifact.")
    logs.configure(settings)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it is done
        signal.signal(number, lambda *_: sys.exit(0))
    with _bind(settings.host, settings.port) as listener:
        tell = partial(logger.info, "ready on %s", _url(listener, secure=bool(tls)))
        if settings.workers == 1:
            _share_cpus(1)
            _serve(settings, load_scorers(settings.sources, _fit(settings)), listener, tell, tls)
        else:
            _serve_in_processes(settings, listener, tell, tls)


def _serve_in_processes(
    settings: Settings, listener: socket.socket, tell: Ready, tls: Mapping[str, Any]
) -> None:
    with TemporaryDirectory(prefix="shapserve-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # read when the library is imported
        from prometheus_client.multiprocess import mark_process_dead

        _share_cpus(settings.workers)
        shared = settings.shared_in(Path(directory))
        scorers = SharedScorers(settings.sources, _fit(settings))
        _import_what_serves()
        from service.reload_shared import SharedReload  # brings the metrics

        def work(ready: Ready, team: Team) -> None:
            _serve(shared, _finished(scorers), listener, ready, tls, team)

        seconds = settings.drain_seconds + settings.grace_seconds
        Supervisor(
            settings.workers,
            work,
            on_ready=tell,
            listener=listener,
            grace_seconds=seconds + settings.background_grace_seconds + _MARGIN_SECONDS,
            on_death=mark_process_dead,
            prepare=SharedReload(scorers, settings.sources).prepare,
        ).run()


def _finished(scorers: SharedScorers) -> dict[str, Scorer]:
    try:
        return scorers.finish()
    except FORESEEN as exc:
        message = told(exc)
        if message is None:
            raise
        raise CannotServe(message) from exc


def _serve(
    settings: Settings,
    scorers: Mapping[str, Scorer],
    listener: socket.socket,
    ready: Ready,
    tls: Mapping[str, Any],
    team: Team | None = None,
) -> None:
    from service.app import create_app  # brings the metrics, see above
    from service.connection import punctual

    drain = Drain()
    config = uvicorn.Config(
        create_app(settings, scorers, drain, team, _fit(settings)),
        http=punctual(settings.body_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
        **tls,
    )
    garbage.keep()
    del scorers  # from now on the application has them, and may replace them
    _Server(config, drain, settings, ready, team).run(sockets=[listener])


def _fit(settings: Settings, limit: int | None = None) -> Fit:
    """How large a block may be in the memory that there is."""
    at_a_time = settings.concurrency or usable_cpus()
    at_a_time += settings.background_jobs or max(1, at_a_time // 2)

    def fit(wanted: int) -> int:
        there_is, loaded = limit or memory_limit(), resident_bytes()
        buffered = settings.workers * settings.max_buffered_bytes
        # Rows that wait, in each process; and what is done, which may be files in memory.
        later = (
            settings.workers + (settings.results_store == "memory")
        ) * settings.results_max_bytes
        blocks = settings.workers * at_a_time
        fits = block_bytes_that_fit(there_is, loaded, buffered, later, blocks, wanted)
        if fits < wanted:
            logger.warning("blocks shrink from %s to %s MiB to fit", wanted >> 20, fits >> 20)
        return fits

    return fit


def _tls(settings: Settings) -> dict[str, Any]:
    """What uvicorn needs for HTTPS, tried out before anything is loaded."""
    if settings.tls_cert is None or settings.tls_key is None:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls_cert, settings.tls_key, password=""
        )
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or "cannot be used"
        raise click.ClickException(f"--tls-cert and --tls-key: {reason}") from None
    return {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}


def _share_cpus(n: int) -> None:
    """Give each of `n` processes its part of the processors, and of the numeric threads.

    NumPy's threads are told now, because it read its variables long ago; what is imported later
    reads them.
    """
    share = max(1, usable_cpus() // n)
    os.environ["PYTHON_CPU_COUNT"] = str(share)
    from threadpoolctl import threadpool_limits

    if not {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} & os.environ.keys():
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(share)
        threadpool_limits(share)


def _import_what_serves() -> None:
    """Import once, before there are several processes, what each of them would import."""
    for name in _SERVES:
        import_module(name)


class _Server(DrainingServer):
    """Tells when it accepts connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Drain,
        settings: Settings,
        ready: Ready,
        team: Team | None,
    ) -> None:
        super().__init__(config, drain, settings.drain_seconds, settings.grace_seconds)
        self._tell_ready, self._team = ready, team

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if self._team is not None:
            self._team.listen()
        self._tell_ready()


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


def _url(listener: socket.socket, *, secure: bool) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
