"""Packed artifacts, sound and hostile."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from scoring import artifact_sha256
from service.fetch.refused import CannotFetch
from tests.service.fetch.conftest import contents

MIB = 2**20


def tar(path, members, mode="w"):
    """Members: name to bytes, or to a TarInfo that is changed."""
    with tarfile.open(path, mode) as packed:
        for name, content in members:
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return path


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def special(kind, name="model", target="/etc/passwd"):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.fixture(params=["tar", "tar.gz", "tgz", "zip"])
def pack(request, tmp_path):
    """Pack members in each of the ways."""

    def packed(members):
        path = tmp_path / f"packed.{request.param}"
        if request.param == "zip":
            return zipped(path, members)
        return tar(path, members, "w" if request.param == "tar" else "w:gz")

    return packed


@pytest.mark.parametrize("prefix", ["", "./", "churn/"])
def test_a_sound_one(get, pack, source, digest, prefix):
    archive = pack(contents(source, prefix).items())
    assert artifact_sha256(get(f"file://{archive}")) == digest


def test_over_http(get, web, source, digest, tmp_path):
    archive = tar(tmp_path / "a.tgz", contents(source, "").items(), "w:gz")
    web.content["/a.tgz"] = archive.read_bytes()
    assert artifact_sha256(get(f"{web.url}/a.tgz?sig=x")) == digest


def test_more_bytes_than_the_limit(get, pack, source):
    archive = pack(contents(source, "").items())
    with pytest.raises(CannotFetch, match="the archive is larger than"):
        get(f"file://{archive}", most=archive.stat().st_size - 1)


@pytest.mark.parametrize("name", ["../out", "/zq/out", "a/../../out", "a\\..\\out"])
def test_a_file_that_leaves(get, pack, name, tmp_path):
    with pytest.raises(CannotFetch, match="leaves its directory"):
        get(f"file://{pack([(name, b'zq')])}")
    assert not list(tmp_path.rglob("out"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices(get, tmp_path, kind):
    archive = tar(tmp_path / "a.tar", [("", special(kind)), ("model/x", b"zq")])
    with pytest.raises(CannotFetch, match="a link or a device"):
        get(f"file://{archive}")


def test_a_link_in_a_zip(get, tmp_path):
    link = zipfile.ZipInfo("model")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(CannotFetch, match="a link"):
        get(f"file://{zipped(tmp_path / 'a.zip', [(link, '/etc')])}")


def test_a_directory_that_leaves(get, tmp_path):
    out = tarfile.TarInfo("../out")
    out.type = tarfile.DIRTYPE
    with pytest.raises(CannotFetch, match="leaves its directory"):
        get(f"file://{tar(tmp_path / 'a.tar', [('', out)])}")
    assert not (tmp_path / "there" / "out").exists()


def test_a_file_twice(get, pack):
    with pytest.raises(CannotFetch, match="twice"):
        get(f"file://{pack([('a', b'1'), ('./a', b'2')])}")


def test_more_bytes_than_the_limit_when_unpacked(get, pack):
    archive = pack([("zeros", bytes(4 * MIB))])
    if archive.suffix == ".tar":
        pytest.skip("it is as large as what it holds")
    assert archive.stat().st_size < MIB
    with pytest.raises(CannotFetch, match="larger than the 2,097,152 bytes"):
        get(f"file://{archive}", most=2 * MIB)


def test_a_size_that_is_a_lie(get, tmp_path):
    """The bytes are counted, not what the archive says of them."""
    archive = zipped(tmp_path / "a.zip", [("zeros", bytes(4 * MIB))])
    data = archive.read_bytes()
    size = (4 * MIB).to_bytes(4, "little")
    assert size in data
    archive.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(CannotFetch, match=r"damaged|larger"):
        get(f"file://{archive}", most=2 * MIB)


def test_too_many_files(get, pack, monkeypatch):
    monkeypatch.setattr("service.fetch.archives.MOST_MEMBERS", 20)
    with pytest.raises(CannotFetch, match="more than 20 files"):
        get(f"file://{pack([(f'f{n}', b'') for n in range(21)])}")


def test_a_header_without_end(get, tmp_path):
    """Python reads as much into memory as a header says that a name has."""
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 64 * MIB
    data = long.tobuf(tarfile.GNU_FORMAT) + b"x" * 64 * MIB
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(data, 1))
    with pytest.raises(CannotFetch, match="header that is too large"):
        get(f"file://{archive}", most=100 * MIB)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize(
    "content", [b"", b"zq" * 1000, b"PK\5\6", gzip.compress(b"zq", mtime=0)[:-3]]
)
def test_what_is_none(get, tmp_path, ending, content):
    (tmp_path / f"a.{ending}").write_bytes(content)
    with pytest.raises(CannotFetch, match="damaged"):
        get(f"file://{tmp_path}/a.{ending}")


def test_an_encrypted_one(get, tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a", b"zq")], zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    archive.write_bytes(data)
    with pytest.raises(CannotFetch, match="damaged"):
        get(f"file://{archive}")
