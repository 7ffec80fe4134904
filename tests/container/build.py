"""Images of this project, built with what this machine installs packages from."""

from __future__ import annotations

import ast
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.container.engine import ROOT, Engine

KEPT = {"extra-index-url", "find-links", "index-url", "proxy", "timeout", "trusted-host"}
"""Settings of pip that hold in a container too; where its files lie is another matter."""

SECRET = "zq-secret-7731"  # noqa: S105 looked for, and never to be found
STAND_IN = "localhost/shapserve-base:tests"


@dataclass(frozen=True)
class Builder:
    """Builds images on one base."""

    engine: Engine
    base: str
    options: tuple[str, ...]
    """Secrets, and the folders of packages that this machine has on its disk."""

    def build(self, tag, *options, context=ROOT):
        """Build an image; returns its name."""
        name = f"localhost/shapserve-tests:{tag}"
        given = ("--build-arg", f"BASE={self.base}", *self.options, "--tag", name)
        self.engine("build", *given, *options, context)
        return name


def builder(engine: Engine, directory: Path) -> Builder | str:
    """A builder on the base of the Dockerfile or a stand-in for it, or why there is none."""
    match = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert match
    base = match[1]
    if not engine.has(base) and engine("pull", base, check=False, timeout=300).returncode:
        base = STAND_IN
        if not engine.has(base):
            script = Path(__file__).with_name("stand_in.sh")
            made = subprocess.run(
                [script, base],
                env=engine.env,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            if made.returncode:
                why = made.stderr.strip().splitlines()[-1:]
                return f"the base image can neither be pulled nor replaced: {why}"
    return Builder(engine, base, tuple(_options(engine.tool, directory)))


def _options(tool: str, directory: Path) -> Iterator[str]:
    settings = dict(_pip_settings())
    pip = directory / "pip.conf"
    lines = [f"{name} =\n    {value}\n" for name, value in settings.items()]
    pip.write_text(f"# {SECRET}\n[global]\n" + "".join(lines))
    yield from ("--secret", f"id=pip.conf,src={pip}")
    trusted = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if trusted:
        bundle = directory / "ca.pem"
        bundle.write_text(Path(trusted).read_text() + f"\n# {SECRET}\n")
        yield from ("--secret", f"id=ca.pem,src={bundle}")
    words = " ".join(settings.values()).split()
    for path in {word.removeprefix("file://") for word in words if re.match(r"(file://)?/", word)}:
        if tool == "podman" and Path(path).is_dir():  # docker's builds see no folder of the machine
            top = Path(*Path(path).parts[:3])  # an index, and the files that it points to
            yield from ("--volume", f"{top}:{top}:ro")


def _pip_settings() -> Mapping[str, str]:
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    pairs = [line.partition("=") for line in told.splitlines()]
    return {
        setting: " ".join(ast.literal_eval(value).split())
        for name, _, value in pairs
        if (setting := name.rpartition(".")[2]) in KEPT
    }
