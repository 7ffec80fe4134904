"""The README's blocks run, in order, as a reader would run them.

- ```` ```python ```` blocks share one namespace.
- ```` ```sh ```` blocks run with `bash -euo pipefail`; what one leaves in the background lives
  until the last block is done. One that cannot run here (it would run this test again, or needs a
  cluster) says why in an HTML comment right above it: ``<!-- not run: REASON -->``.
- Both kinds run in one temporary directory, which holds links to everything in the repository, so
  that `make demo` works there and leaves nothing behind.
- Other languages (json, text, ...) are shown only; those that hold commands in disguise
  (console, pycon) are refused.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

SHELL = {"sh", "bash", "shell"}
REFUSED = {"console", "py", "pycon", "shell-session", "zsh"}


class Block(NamedTuple):
    """A fenced block: its language, its first line's number, its text and why it is not run."""

    language: str
    line: int
    text: str
    not_run: str


def parse(markdown: str) -> list[Block]:
    fence = re.compile(
        r"(?:^<!--[ ]not[ ]run:[ ]*(?P<why>[^\n]*?)[ ]*-->\n\n?)?"
        r"^(?P<indent>[ ]*)(?P<fence>`{3,})(?P<language>[\w+-]*)[^\n]*\n"
        r"(?P<text>.*?)"
        r"^(?P=indent)(?P=fence)[ ]*$",
        re.MULTILINE | re.DOTALL | re.VERBOSE,
    )
    return [
        Block(
            match["language"],
            markdown.count("\n", 0, match.start("text")) + 1,
            re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            match["why"] or "",
        )
        for match in fence.finditer(markdown)
    ]


BLOCKS = parse(README.read_text()) if README.is_file() else []
RUN = [block for block in BLOCKS if block.language in {"python", *SHELL} and not block.not_run]


def test_parse():
    markdown = (
        "```sh\nmake demo\n```\n\n<!-- not run: again -->\n```bash\nmake test\n```\n"
        "- x\n  ````python\n  a = '```'\n  if a:\n    b\n  ````\n"
        "\n<!-- not run: -->\n\n```sh\nc\n```\n"
        "```json\n{}\n```\n"
    )
    assert parse(markdown) == [
        ("sh", 2, "make demo\n", ""),
        ("bash", 7, "make test\n", "again"),
        ("python", 11, "a = '```'\nif a:\n  b\n", ""),
        ("sh", 19, "c\n", ""),  # no reason, so it runs
        ("json", 22, "{}\n", ""),
    ]


def test_the_readme_has_something_to_run():
    languages = [block.language for block in RUN]
    assert "python" in languages
    assert SHELL.intersection(languages)


def test_no_command_is_hidden_from_this_test():
    assert [block for block in BLOCKS if block.language in REFUSED] == []
    assert [block for block in BLOCKS if block.not_run and block.language not in SHELL] == []
    assert README.read_text().count("<!-- not run:") == sum(bool(b.not_run) for b in BLOCKS)


class Reader:
    """Somebody who follows the README in a working copy of their own."""

    def __init__(self, directory):
        self.directory = directory
        self.namespace = {"__name__": "__main__"}
        self.groups = []
        for path in ROOT.iterdir():
            if path.name not in {".git", ".venv", "build", "dist"}:
                (directory / path.name).symlink_to(path)
        # The environment that runs this test, with a stamp that keeps make from making it anew.
        (directory / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            if path.name != ".installed":
                (directory / ".venv" / path.name).symlink_to(path)
        (directory / ".venv" / ".installed").touch()

    def run_python(self, block):
        code = "\n" * (block.line - 1) + block.text  # tracebacks show the README's own lines
        exec(compile(code, README, "exec"), self.namespace)  # noqa: S102, the point of this test

    def run_shell(self, block):
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        env["PATH"] = f"{Path(sys.prefix) / 'bin'}:{env['PATH']}"
        log = self.directory / f"line-{block.line}.log"
        # To a file: a pipe would stay open for as long as something runs in the background.
        with log.open("w") as output:
            shell = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=self.directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(shell.pid)
        assert shell.wait(timeout=280) == 0, log.read_text()

    def leave(self):
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("reader"))
    yield reader
    reader.leave()


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=[f"line {b.line}: {b.language}" for b in RUN])
def test_block(block, reader, monkeypatch):
    monkeypatch.chdir(reader.directory)
    if block.language == "python":
        reader.run_python(block)
    else:
        reader.run_shell(block)
