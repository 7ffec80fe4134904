"""Settings: from the environment and the command line, and one line when they are wrong."""

import os
from pathlib import Path

import click
import pytest

from service.cli import cli
from service.cli.options import read_settings
from service.settings import Settings, Source

DIGEST = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in os.environ:
        if name.startswith("SHAPSERVE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("text", ["a,b=c", "a b=c", "a, b=c", " a\nb=c ,"])
def test_the_environment_names_several_artifacts(monkeypatch, text):
    monkeypatch.setenv("SHAPSERVE_ARTIFACT", text)
    assert Settings().sources == [Source(None, Path("a"), None), Source("b", Path("c"), None)]


def test_the_command_line_wins_and_its_paths_may_hold_anything(monkeypatch):
    monkeypatch.setenv("SHAPSERVE_ARTIFACT", "elsewhere")
    settings = read_settings(Settings, {"artifact": ("my models/a, b",), "port": "0"})
    assert settings.sources == [Source(None, Path("my models/a, b"), None)]
    assert settings.port == 0


def test_a_path_with_an_equals_sign_is_a_path():
    [source] = Settings(artifact=("./x/lr=0.1",)).sources
    assert source == Source(None, Path("./x/lr=0.1"), None)


@pytest.mark.parametrize(
    ("artifacts", "pins", "expected"),
    [
        (("a",), (DIGEST,), [DIGEST]),
        (("n=a",), (DIGEST,), [DIGEST]),
        (("n=a",), (f"n={DIGEST}",), [DIGEST]),
        (("n=a", "m=b"), (f"m={DIGEST}",), [None, DIGEST]),
        (("n=a", "m=b"), (f"m={DIGEST}", f"n={OTHER}"), [OTHER, DIGEST]),
    ],
)
def test_pins_belong_to_their_artifacts(artifacts, pins, expected):
    settings = Settings(artifact=artifacts, expect_sha256=pins)
    assert [source.sha256 for source in settings.sources] == expected


@pytest.mark.parametrize(
    ("artifacts", "pins", "rule"),
    [
        (("a", "b"), (DIGEST,), "NAME=DIGEST where there are several"),
        (("n=a",), (f"n={DIGEST}", DIGEST), "NAME=DIGEST where there are several"),
        (("n=a",), (f"m={DIGEST}",), "the names that artifact gives"),
        (("a",), (f"m={DIGEST}",), "the names that artifact gives"),
    ],
)
def test_pins_that_pin_nothing_are_refused(artifacts, pins, rule):
    """Else an operator would believe in a check that is never made."""
    with pytest.raises(click.ClickException, match=rule):
        read_settings(Settings, {"artifact": artifacts, "expect_sha256": pins})


def test_the_service_link_of_kubernetes_is_not_a_port(monkeypatch, caplog):
    monkeypatch.setenv("SHAPSERVE_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("SHAPSERVE_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("SHAPSERVE_PORT_80_TCP_PROTO", "tcp")
    assert Settings().port == 8000
    assert "enableServiceLinks: false" in caplog.text


@pytest.mark.parametrize("value", ["abc", "70000", "-1", "1.5", ""])
def test_what_is_wrong_is_told_by_the_name_under_which_it_was_given(monkeypatch, value):
    monkeypatch.setenv("SHAPSERVE_PORT", value)
    with pytest.raises(click.ClickException, match=r"^SHAPSERVE_PORT: "):
        read_settings(Settings, {})
    with pytest.raises(click.ClickException, match=r"^--port: "):
        read_settings(Settings, {"port": value})


OPTIONS = [
    pytest.param(name, command, parameter, id=f"{name}{parameter.opts[0]}")
    for name, command in cli.commands.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
]


@pytest.mark.parametrize(("name", "command", "option"), OPTIONS)
def test_every_option_has_an_environment_variable_in_its_help(name, command, option):
    prefix = f"SHAPSERVE_{name.upper()}"
    with click.Context(command, info_name=name, auto_envvar_prefix=prefix) as context:
        record = option.get_help_record(context)
    assert record is not None  # narrows the type; its text is checked below
    assert "env var: SHAPSERVE_" in record[1]
    assert len(record[1]) > 30, "it should also say what it does"


def test_every_setting_is_described_and_has_an_option():
    assert all(field.description for field in Settings.model_fields.values())
    given = {parameter.name for parameter in cli.commands["serve"].params}
    assert given == set(Settings.model_fields)
