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
