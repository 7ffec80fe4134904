"""Python's own cleaning, in a process of its own: it is a setting of the whole process."""

import subprocess
import sys

CODE = """
import gc
from service import garbage
mine = [object() for _ in range(1000)] + [[] for _ in range(1000)]
before = len(gc.get_objects())
garbage.keep()
print(len(gc.get_objects()) < before / 10, gc.get_freeze_count() > 1000, gc.get_threshold()[0])
"""


def test_what_is_here_is_never_looked_at_again():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, frozen, young = done.stdout.split()
    assert (kept, frozen) == ("True", "True")
    assert int(young) > 700  # Python's own
