"""Memory that is given back."""

import subprocess
import sys

PROGRAM = """
import re, threading
from ctllm.schemas.memory import give_back, share_arenas
def rss_kb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
share_arenas()
def work():
    parts = [bytes([65]) * 2000 for _ in range(20_000)]
    keep.append(parts[::50])
keep = []
before = rss_kb()
for _ in range(4):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
held = rss_kb()
give_back()
print(before, held, rss_kb())
"""


def test_freed_memory_goes_back() -> None:
    """After work in several threads most of what was freed between what is kept goes back to the system."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, held, after = map(int, result.stdout.split())
    assert held - before > 20_000
    assert after - before < (held - before) / 2


REPEATED = """
import resource, sys
from ctllm.schemas.memory import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
block = b"x" * 64_000_000
del block
before = faults()
for _ in range(3):
    block = b"x" * 64_000_000
    del block
print(faults() - before)
"""


def test_kept_memory_is_not_handed_out_anew() -> None:
    """A block that is freed and taken again comes page by page from the system, unless the process keeps it."""
    faults = [
        int(subprocess.run([sys.executable, "-c", REPEATED, *keep], capture_output=True, check=True).stdout)
        for keep in ([], ["keep"])
    ]
    handed_out, kept = faults
    assert handed_out > 3 * 64_000_000 / 4096 / 2  # half: pages may be larger
    assert kept < 100
