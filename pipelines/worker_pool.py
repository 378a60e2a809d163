"""A pool of Beam worker processes for portable runners: `python -m ctllm.pipelines.worker_pool --service_port=PORT`.

Beam's own pool starts a Python for each worker of each job, which imports everything anew: 2 to 5 s of CPU. Here
workers are forks of one process that has imported it, and loaded what measuring needs, and has no threads of Python: a
fork copies their locks but not the threads. All of them end with the pool, also when it is killed.
"""

import argparse
import gc
import importlib
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import grpc
import pyarrow as pa
from apache_beam.portability.api import beam_fn_api_pb2 as api
from apache_beam.portability.api import beam_fn_api_pb2_grpc as services
from apache_beam.runners.worker.sdk_worker import SdkHarness

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.fingerprint import Fingerprinter
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.processes import death_signal_setter

STAGES = ("ctllm.pipelines.curate", "ctllm.pipelines.tokenize")  # import whatever their jobs need
STOP_SECONDS = 10.0  # as Beam's pool
WORKER_NAME = "beam-worker"
"""A worker's name in /proc/PID/comm; the command line of a fork is that of the pool."""

_FORK = multiprocessing.get_context("fork")


class _Order(NamedTuple):
    """A worker to start, or, without the address of a runner, to stop."""

    worker_id: str
    control_url: str = ""


class _Pool(services.BeamFnExternalWorkerPoolServicer):
    """Passes a runner's calls on to the process that forks."""

    def __init__(self, orders: Connection) -> None:
        self._orders = orders
        self._lock = threading.Lock()

    def StartWorker(self, request: api.StartWorkerRequest, _context: object) -> api.StartWorkerResponse:
        """Forks a worker, which connects to the runner by itself."""
        self._give(_Order(request.worker_id, request.control_endpoint.url))
        return api.StartWorkerResponse()

    def StopWorker(self, request: api.StopWorkerRequest, _context: object) -> api.StopWorkerResponse:
        """Returns when the worker has ended."""
        self._give(_Order(request.worker_id))
        return api.StopWorkerResponse()

    def _give(self, order: _Order) -> None:
        with self._lock:
            self._orders.send(order)
            self._orders.recv()


def _fork_workers(orders: Connection, pool_end: Connection) -> None:
    """Starts and stops workers until the pool is gone; those that are left end with this process."""
    pool_end.close()  # held open here, it would hide that the pool has gone
    workers: dict[str, BaseProcess] = {}
    while True:
        try:
            worker_id, url = orders.recv()
        except EOFError:
            return
        if url:
            die_with_parent = death_signal_setter(signal.SIGKILL)
            workers[worker_id] = _FORK.Process(target=_work, args=(worker_id, url, die_with_parent), daemon=True)
            workers[worker_id].start()
        elif worker_id in workers:
            _end(workers.pop(worker_id))
        orders.send(None)


def _work(worker_id: str, control_url: str, die_with_parent: Callable[[], None] | None) -> None:
    if die_with_parent:
        die_with_parent()
        Path("/proc/self/comm").write_text(WORKER_NAME, encoding="ascii")
    SdkHarness(control_url, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1).run()


def _end(worker: BaseProcess) -> None:
    worker.terminate()
    worker.join(STOP_SECONDS)
    worker.kill()
    worker.join()


def _warm_up() -> None:
    """Measures a word of each lane: kernels and tables are a second that else each worker of each job would take."""
    rows = [{"key": 0, "lane": lane, "lang_score": 1.0, "text": "字。\nword"} for lane in ("zh", "en", "code")]
    documents = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    config = CurationConfig()
    Measurer(config).measure(documents)
    Fingerprinter(config).measure(documents, TextBatch.of(documents.column("text")))


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--service_port", type=int, required=True, help="0: any that is free")
    port = parser.parse_args().service_port
    for stage in STAGES:
        importlib.import_module(stage)
    _warm_up()
    gc.freeze()  # what is imported stays shared between the forks
    orders, forks_end = _FORK.Pipe()
    forks = _FORK.Process(target=_fork_workers, args=(forks_end, orders))
    forks.start()  # before gRPC has threads
    forks_end.close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = grpc.server(ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)])  # by default it shares the port
    services.add_BeamFnExternalWorkerPoolServicer_to_server(_Pool(orders), server)
    try:
        port = server.add_insecure_port(f"localhost:{port}")
        server.start()
        print(f"worker pool started on localhost:{port}", flush=True)
        signal.pause()
    finally:
        server.stop(None)
        orders.close()
        forks.join()


if __name__ == "__main__":
    main()
