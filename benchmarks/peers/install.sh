#!/usr/bin/env bash
# Makes the environment that benchmarks/peers.py calls: benchmarks/peers/install.sh DIRECTORY
set -euo pipefail
directory=$1
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --requirement "$(dirname "$0")/requirements.txt"
echo "$directory/bin/python"
