"""The pool of worker processes: what it serves is tested with the runners, its end here."""

import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from ctllm.pipelines.portable_services import POOL_COMMAND
from ctllm.pipelines.worker_pool import WORKER_NAME
from ctllm.schemas.processes import session_members


@pytest.fixture(scope="module")
def nobody() -> endpoints_pb2.ApiServiceDescriptor:
    """An address where no runner is."""
    return endpoints_pb2.ApiServiceDescriptor(url="localhost:1")


def pool_process() -> tuple[subprocess.Popen[str], str]:
    """A pool that listens, in a session of its own, and its address."""
    pool = subprocess.Popen(
        POOL_COMMAND, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert pool.stdout is not None
    return pool, pool.stdout.readline().split()[-1]


def workers(leader: int) -> list[int]:
    """The workers of a pool that run."""
    members = session_members(leader)
    return [pid for pid in members if Path(f"/proc/{pid}/comm").read_text().strip() == WORKER_NAME]


@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_a_pool_takes_its_workers_along(death: signal.Signals, nobody: endpoints_pb2.ApiServiceDescriptor) -> None:
    """Stopped or killed, the pool leaves no worker; one that its runner stops goes alone."""
    pool, address = pool_process()
    with grpc.insecure_channel(address) as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        for worker_id in "12":
            request = beam_fn_api_pb2.StartWorkerRequest(
                worker_id=worker_id, control_endpoint=nobody, logging_endpoint=nobody
            )
            assert stub.StartWorker(request).error == ""
        deadline = time.monotonic() + 60
        while len(workers(pool.pid)) < 2 and time.monotonic() < deadline:  # the name is the worker's own first act
            time.sleep(0.05)
        first, second = sorted(workers(pool.pid))
        stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1"))
        assert workers(pool.pid) == [second] != [first]
    pool.send_signal(death)
    pool.wait(timeout=60)
    deadline = time.monotonic() + 60
    while session_members(pool.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert session_members(pool.pid) == []


def test_a_port_is_not_shared_with_another_server() -> None:
    """A pool that is told a port that is taken ends; two servers on one port would get each other's calls."""
    pool, address = pool_process()
    command = [*POOL_COMMAND[:-1], f"--service_port={address.split(':')[1]}"]
    second = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "Failed to bind to address" in second.stderr
    pool.terminate()
    pool.wait(timeout=60)
