"""Every setting of the server, once: the environment and the command line are made from it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["ENV_PREFIX", "NAME", "Settings", "Source"]

ENV_PREFIX = "SHAPSERVE_"

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

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
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1, description="Largest body of a request, in bytes."
    )
    max_rows: int = Field(default=10_000, ge=1, description="Most rows of a request.")
    concurrency: int | None = Field(
        default=None, ge=1, description="Requests explained at a time; else one for each CPU."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the log tells."
    )

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

    @property
    def sources(self) -> list[Source]:
        """The artifacts to serve, the default one first."""
        pins = dict(map(_named, self.expect_sha256))
        unnamed = pins.get(None)
        return [
            Source(name, Path(directory), pins.get(name, unnamed))
            for name, directory in map(_named, self.artifact)
        ]


def _named(text: str) -> tuple[str | None, str]:
    """Split NAME=VALUE; a path that merely holds an equals sign stays whole."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and NAME.fullmatch(name) else (None, text)
