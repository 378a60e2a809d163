"""The pool of worker processes: what it serves is tested with the runners, its end here."""

import signal
import subprocess
import sys
import time

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from ctllm.schemas.processes import session_members
from tests.pipelines.test_portable_services import free_port, listens


def test_a_stopped_pool_takes_its_workers_along() -> None:
    """SIGTERM ends the pool and the worker that it started."""
    port = free_port()
    pool = subprocess.Popen(
        [sys.executable, "-m", "ctllm.pipelines.worker_pool", f"--service_port={port}"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/nowhere"},  # the workers' interpreter is the pool's
    )
    while pool.poll() is None and not listens(f"localhost:{port}"):
        time.sleep(0.05)
    nobody = endpoints_pb2.ApiServiceDescriptor(url="localhost:1")
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id="1", control_endpoint=nobody, logging_endpoint=nobody)
        answer = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StartWorker(request)
    assert answer.error == ""
    assert len(session_members(pool.pid)) == 2
    pool.send_signal(signal.SIGTERM)
    pool.wait(timeout=60)
    assert session_members(pool.pid) == []
