"""`ctllm dashboard` as a command: what it refuses, and how it ends. What it shows is tested in tests/dashboards."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from .conftest import run_ctllm

COMMAND = [sys.executable, "-m", "ctllm.cli.main", "dashboard"]
