"""An artifact is fetched whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket

import pytest

from scoring import ArtifactError, ArtifactUntrusted, artifact_sha256, load
from service.cli import run
from service.fetch.fetch import fetch
from service.fetch.refused import CannotFetch
from tests.saved import copy, sign
from tests.service.fetch.conftest import MOST, contents


def test_from_a_directory(get, source, digest):
    fetched = get(f"file://{source}")
    assert artifact_sha256(fetched) == digest
    assert load(fetched).features
    assert fetched.stat().st_mode & 0o777 == 0o777 & ~umask()


def umask():
    now = os.umask(0)
    os.umask(now)
    return now


def test_over_http(get, web, digest):
    assert artifact_sha256(get(f"{web.url}/model")) == digest
    assert web.asked[0] == "/model/manifest.json"
    assert len(web.asked) == len(web.content)  # each file once


def test_the_question_of_a_signed_link_goes_with_every_file(get, web):
    get(f"{web.url}/model/?token=zq")
    assert {path.partition("?")[2] for path in web.asked} == {"token=zq"}


@pytest.mark.parametrize("prefix", ["sha256:", ""])
def test_the_digest_may_be_written_in_both_ways(get, source, digest, prefix):
    assert get(f"file://{source}", prefix + digest.upper()).is_dir()


def test_another_digest(get, web):
    with pytest.raises(ArtifactUntrusted, match="another was pinned"):
        get(f"{web.url}/model", "ab" * 32)
    assert web.asked == ["/model/manifest.json"]  # nothing more of what was not asked for


def test_a_changed_file(get, web):
    name = next(name for name in web.content if name.endswith(".npy"))
    web.content[name] = web.content[name][:-1] + b"\1"
    with pytest.raises(ArtifactError, match=name.rpartition("/")[2]):
        get(f"{web.url}/model")


def test_a_longer_file(get, web):
    web.content["/model/scoring_explainer.pkl"] += b"\0"
    with pytest.raises(CannotFetch, match=r"scoring_explainer\.pkl is larger"):
        get(f"{web.url}/model")


def test_a_missing_file(get, web):
    del web.content["/model/scoring_explainer.pkl"]
    with pytest.raises(CannotFetch, match=r"pkl cannot be read: it is not there"):
        get(f"{web.url}/model")


def test_more_bytes_than_the_limit(get, web):
    manifest = len(web.content["/model/manifest.json"])
    with pytest.raises(CannotFetch, match="the artifact is larger than"):
        get(f"{web.url}/model", most=manifest)
    assert web.asked == ["/model/manifest.json"]  # told before they are fetched
    with pytest.raises(CannotFetch, match="the manifest is larger than"):
        get(f"{web.url}/model", most=manifest - 1)


def test_a_manifest_without_end(get, web, monkeypatch):
    web.content["/model/manifest.json"] = b" " * 3 * 2**20
    monkeypatch.setattr("service.fetch.fetch.LARGEST", 2**20)
    with pytest.raises(CannotFetch, match="the manifest is larger than the 1,048,576 bytes"):
        get(f"{web.url}/model")


def test_a_manifest_that_names_a_file_elsewhere(get, source, tmp_path):
    hostile = copy(source, tmp_path / "hostile")
    (tmp_path / "secret.npy").write_bytes(b"zq")
    files = {"../secret.npy": {"sha256": hashlib.sha256(b"zq").hexdigest(), "bytes": 2}}
    digest = sign(hostile, files=files)
    with pytest.raises(ArtifactError):
        get(f"file://{hostile}", digest)


def test_nothing_listens(get):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(CannotFetch, match=r"manifest\.json cannot be read: "):
        get(f"http://127.0.0.1:{port}/model?token=zq-secret")


def test_what_is_secret_in_a_link_is_not_told(get, web):
    with pytest.raises(CannotFetch) as caught:
        get(f"{web.url}/nowhere?token=zq-secret")
    assert "zq-secret" not in str(caught.value)


def test_what_is_there_already_is_left(get, source, digest, tmp_path):
    output = get(f"file://{source}")
    assert fetch("file:///nowhere", output, digest, MOST) is False
    with pytest.raises(CannotFetch, match="is another artifact"):
        get(f"file://{source}", "ab" * 32)
    assert artifact_sha256(output) == digest


def test_what_is_there_and_no_artifact_is_left(get, source, tmp_path):
    other = tmp_path / "there" / "artifact"
    other.mkdir(parents=True)
    (other / "letter.txt").write_text("dear")
    with pytest.raises(CannotFetch, match="or none"):
        get(f"file://{source}")
    assert (other / "letter.txt").read_text() == "dear"


def test_an_empty_directory_is_taken(get, source, tmp_path, digest):
    (tmp_path / "there" / "artifact").mkdir(parents=True)
    assert artifact_sha256(get(f"file://{source}")) == digest


def test_the_place_of_a_volume_is_named(source, digest):
    with pytest.raises(CannotFetch, match=r"/proc is (where a volume|there already)"):
        fetch(f"file://{source}", type(source)("/proc"), digest, MOST)


def test_the_command(source, digest, tmp_path, capsys):
    given = ["fetch", f"file://{source}", "--output", str(tmp_path / "a"), "--sha256", digest]
    assert run(given) == 0
    assert "fetched and verified" in capsys.readouterr().err
    assert run(given) == 0
    assert "there already" in capsys.readouterr().err
    given[3] = str(tmp_path / "b")
    assert run([*given, "--max-bytes", "10"]) == 1
    assert capsys.readouterr().err.startswith("shapserve: the manifest is larger than the 10 bytes")
    assert run([*given[:-1], "ab" * 32]) == 1
    assert "another was pinned" in capsys.readouterr().err
    assert run([given[0], "s3::" + given[1], *given[2:]]) == 1
    assert "chained" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_digest_is_required(source, tmp_path, capsys):
    assert run(["fetch", f"file://{source}", "--output", str(tmp_path / "a")]) != 0
    assert "--sha256" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "http"])
def test_a_library_that_is_not_installed(get, monkeypatch, scheme):
    library = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "http": "aiohttp"}[scheme]
    for name in [name for name in __import__("sys").modules if name.split(".")[0] == library]:
        monkeypatch.delitem(__import__("sys").modules, name)
    monkeypatch.setitem(__import__("sys").modules, library, None)
    monkeypatch.delitem(__import__("sys").modules, "service.fetch.web", raising=False)
    extra = "fetch" if scheme == "http" else scheme
    with pytest.raises(CannotFetch, match=rf"not installed.*EXTRAS='{extra}'"):
        get(f"{scheme}://bucket/model")


def test_a_full_disk_is_told_as_such(get, source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "artifact")

    monkeypatch.setattr("service.fetch.fetch.copy", full)
    with pytest.raises(OSError, match="No space left"):
        get(f"file://{source}")


def test_contents_are_those_of_the_artifact(source):
    assert len(contents(source, "/")) > 2
    assert shutil.disk_usage(source).free > 0
