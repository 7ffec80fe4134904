"""Every setting of the server, once: the environment and the command line are made from it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.keys import parse_keys, read_keys

__all__ = ["ENV_PREFIX", "NAME", "Settings", "Source"]

ENV_PREFIX = "SHAPSERVE_"

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.\-\[\]:]+", re.ASCII)

logger = logging.getLogger("shapserve")


class Source(NamedTuple):
    """Where a served model comes from; without a name it brings its own."""

    name: str | None
    directory: Path
    sha256: str | None


def _several(value: Any) -> Any:
    """Split what one environment variable holds; the command line gives a sequence."""
    return re.findall(r"[^,\s]+", value) if isinstance(value, str) else value


Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_several)]


class Settings(BaseSettings):
    """How the server is set up."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    artifact: Several = Field(
        default=(),
        description="Directory of an artifact, or NAME=DIR; again for each further model. "
        "The first one answers /score.",
    )
    expect_sha256: Several = Field(
        default=(),
        description="The artifact_sha256 that the artifact must have; NAME=DIGEST where there "
        "are several. Only a pinned artifact may bring a pickled model.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port; 0 takes any free one.")
    workers: int = Field(
        default=1, ge=1, description="Processes that answer; they share artifacts and processors."
    )
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1, description="Largest body of a request, in bytes."
    )
    max_decoded_bytes: int = Field(
        default=32 * 2**20, ge=1, description="Largest body after decompression, in bytes."
    )
    max_buffered_bytes: int = Field(
        default=256 * 2**20, ge=1, description="Bytes of bodies held at a time, of all requests."
    )
    max_rows: int = Field(default=10_000, ge=1, description="Most rows of a request.")
    concurrency: int | None = Field(
        default=None, ge=1, description="Batches explained at a time; else one for each CPU."
    )
    max_concurrent: int = Field(
        default=512, ge=1, description="Requests under way at a time; more are answered 429."
    )
    max_queue: int = Field(
        default=256, ge=1, description="Requests that wait for a worker; more are answered 503."
    )
    max_batch_rows: int = Field(
        default=256, ge=1, description="Most rows that waiting requests are merged to."
    )
    body_seconds: float = Field(
        default=30,
        gt=0,
        description="Longest that a request's head, and its body, take to come in.",
    )
    request_seconds: float = Field(
        default=30, gt=0, description="Longest that the rows of a request wait and are worked on."
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        description="How long to go on accepting after SIGTERM, for load balancers to notice.",
    )
    grace_seconds: float = Field(
        default=15, ge=0, description="How long after that to wait for requests under way."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the log tells."
    )
    results_store: str = Field(
        default="memory",
        repr=False,  # it may hold a password
        description="Where explanations that are fetched later are kept: memory (one process), "
        "dir:/PATH (the workers of one host) or redis://HOST:6379/0 (every replica).",
    )
    results_seconds: int = Field(
        default=900, ge=1, le=86_400, description="Seconds that they are kept once they are done."
    )
    results_max_entries: int = Field(
        default=1000, ge=1, le=10_000, description="Most of them that are kept at a time."
    )
    results_max_bytes: int = Field(
        default=32 * 2**20, ge=1024, description="Most bytes that they may take together."
    )
    background_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Later explanations worked on at a time; else half as many as requests.",
    )
    background_queue: int = Field(
        default=100, ge=1, description="Most unfinished later explanations of one process."
    )
    background_grace_seconds: int = Field(
        default=5, ge=0, description="Seconds that they are given to finish when the server stops."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How requests are logged: a line of JSON each, or text."
    )
    log_requests: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the requests that get a line in the log: 1 for all, 0 for none. In "
        "between, those answered with 500 or more always do.",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File of API keys, a line of name:role:sha256hex each, as `shapserve key` "
        "makes them. It is read again when it changes.",
    )
    api_keys: Several = Field(
        default=(), description="API keys as name:role:sha256hex, beside those of the file."
    )
    cors_origin: Several = Field(
        default=(),
        description="Origin whose pages may ask, such as https://app.example; again for others.",
    )
    tls_cert: Path | None = Field(
        default=None, description="Certificate chain in PEM, to be served over HTTPS."
    )
    tls_key: Path | None = Field(default=None, description="The certificate's key in PEM.")
    no_docs: bool = Field(default=False, description="Leave out the pages /docs and /openapi.json.")

    @field_validator("port", mode="before")
    @classmethod
    def _no_service_link(cls, port: Any) -> Any:
        """Pass over SHAPSERVE_PORT=tcp://10.0.0.1:80 and the like.

        Kubernetes puts it there for a Service called `shapserve`, and means another thing by it.
        """
        if not (isinstance(port, str) and port.startswith("tcp://")):
            return port
        default = cls.model_fields["port"].default
        logger.warning(
            "SHAPSERVE_PORT is a Kubernetes service link; using port %s. "
            "Set enableServiceLinks: false in the pod's spec.",
            default,
        )
        return default

    @field_validator("results_store")
    @classmethod
    def _is_a_store(cls, store: str) -> str:
        """Look at the form only, and repeat nothing of it: it may hold a password."""
        kind, _, place = store.partition(":")
        if kind in {"redis", "rediss"} and place.startswith("//"):
            _check_redis(store)
        elif not (store == "memory" or (kind == "dir" and place)):
            raise ValueError("must be memory, dir:/PATH or redis://...")
        return store

    @field_validator("api_keys")
    @classmethod
    def _keys_fit(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        if lines:
            parse_keys(lines)
        return lines

    @field_validator("api_keys_file")
    @classmethod
    def _file_of_keys_fits(cls, file: Path | None) -> Path | None:
        if file is not None:
            read_keys(file)
        return file

    @field_validator("cors_origin")
    @classmethod
    def _origins_fit(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("an origin must be scheme://host or scheme://host:port, or be *")
        return origins

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key must be given together")
        return self

    @model_validator(mode="after")
    def _pins_fit(self) -> Settings:
        pins = [_named(pin) for pin in self.expect_sha256]
        names = [name for name, _ in map(_named, self.artifact)]
        unnamed = [name for name, _ in pins].count(None)
        if unnamed and (len(names) > 1 or len(pins) > 1):
            raise ValueError("expect_sha256 must be NAME=DIGEST where there are several")
        if any(name is not None and name not in names for name, _ in pins):
            raise ValueError("expect_sha256 must use the names that artifact gives, as NAME=DIR")
        return self

    def shared_in(self, directory: Path) -> Settings:
        """Return settings for several workers: what one of them keeps, all of them find.

        Parameters
        ----------
        directory : where explanations are kept that would be kept in memory.
        """
        if self.results_store != "memory":
            return self
        return self.model_copy(update={"results_store": f"dir:{directory}"})

    @property
    def sources(self) -> list[Source]:
        """The artifacts to serve, the default one first."""
        pins = dict(map(_named, self.expect_sha256))
        unnamed = pins.get(None)
        return [
            Source(name, Path(directory), pins.get(name, unnamed))
            for name, directory in map(_named, self.artifact)
        ]


def _check_redis(url: str) -> None:
    """Let the client read a URL: it would do so only after the models are loaded."""
    try:
        from redis.asyncio.connection import parse_url
    except ImportError:
        rule = "must have its client installed: pip install 'shapserve[redis]'"
        raise ValueError(rule) from None
    try:
        parse_url(url)
    except ValueError:
        raise ValueError("must be a URL that the client of Redis can read") from None


def _named(text: str) -> tuple[str | None, str]:
    """Split NAME=VALUE; a path that merely holds an equals sign stays whole."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and NAME.fullmatch(name) else (None, text)
