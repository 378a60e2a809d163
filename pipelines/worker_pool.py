"""A pool of Beam worker processes for portable runners: `python -m ctllm.pipelines.worker_pool --service_port=PORT`.

Beam's own pool, with two differences: its workers run with this interpreter, whatever `python` stands in PATH, and a
SIGTERM ends them too.
"""

import os
import signal
import sys
from pathlib import Path

from apache_beam.runners.worker import worker_pool_main


def main() -> None:
    """Serves until it is told to stop."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # Beam ends its workers at a regular exit only
    worker_pool_main.main(sys.argv[1:])


if __name__ == "__main__":
    main()
