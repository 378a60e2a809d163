"""Faults on a real Prefect server, one after the other: what was done, what happened, one JSON line each.

    python benchmarks/drills.py --out drills [--only cancel kill_child …]        exit code 1 when a drill failed

Starts `ctllm up` in a directory of its own (port 4242), with the deployments of pretraining and of the chain. The last
drill publishes a version and waits for the chain that its event starts. Each of the others starts a training, waits
until it has written its first checkpoint, makes the fault, and asks then:

    orphans   processes of the server's home beside server and worker, after the run ended
    slot      taken slots of the limit `trainer`, after the run ended
    weights   sha256 of the weights after a second run in the same directory: that of an undisturbed training
    ledger    every step once, in order
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ctllm.examples.corpus.build import build_corpus
from ctllm.flows.background import Background, marked_processes, wait_until
from ctllm.flows.commands import TRAINER_LIMIT
from ctllm.flows.local_server import LocalServer
from ctllm.model.ledger import read_ledger
from ctllm.schemas.contents import fingerprint_of

ROOT = Path(__file__).resolve().parents[1]
PORT = 4242
LOOP = {"steps": 30, "sequences_per_step": 1, "checkpoint_every_steps": 3, "evaluate_every_steps": 30}
CHAIN = {  # refused by the first gate: what is asked is whether the event starts the flow
    "tokenizer": "tok", "plan": "plan.yaml", "pretrain": "pretrain.yaml", "evaluate": "evaluate.yaml",
    "gate": {"min_kept_documents": 1_000_000},
}  # fmt: skip
PATIENCE_S = 600.0  # of a busy machine
PROJECT = """
name: drills
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $PWD }}"}
deployments:
  - name: local
    entrypoint: ctllm.flows.stages.pretrain
    work_pool: {name: local, job_variables: {stream_output: false}}
  - name: local
    entrypoint: ctllm.flows.train_version.train_version
    work_pool: {name: local, job_variables: {stream_output: false}}
    parameters: {config: chain.yaml}
"""


class Drills:
    """A project, a server and a worker of their own."""

    def __init__(self, out: Path) -> None:
        """Makes tokens and a plan, trains undisturbed once, starts the server."""
        self.out = out.absolute()
        self.out.mkdir(parents=True, exist_ok=True)
        self.home = self.out / "home"
        self.server = LocalServer(self.home, port=PORT)
        project, ours = yaml.safe_load(PROJECT), yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
        (chain,) = [each for each in ours["deployments"] if each["entrypoint"].endswith(":train_version")]
        project["deployments"][1]["triggers"] = chain["triggers"]
        (self.out / "prefect.yaml").write_text(yaml.safe_dump(project))
        (self.out / "chain.yaml").write_text(yaml.safe_dump(CHAIN))
        values = yaml.safe_load((ROOT / "configs/pretrain/demo.yaml").read_text(encoding="utf-8"))
        (self.out / "pretrain.yaml").write_text(yaml.safe_dump(values | {"loop": LOOP}))
        build_corpus(self.out / "corpus")
        if not (self.out / "plan" / "manifest.json").exists():
            self.ctllm("curate", "configs/curation/demo.yaml", "--input", "corpus", "--out", "curated")
            self.ctllm("tokenizer", "train", "curated", "--out", "tok")
            self.ctllm("tokenize", "curated", "--tokenizer", "tok", "--out", "tokens")
            self.ctllm("plan", "tokens", "--config", "configs/plan/demo.yaml", "--out", "plan")
        paths = ("--set", "tokens=tokens", "--set", "plan=plan")
        self.ctllm("pretrain", "pretrain.yaml", *paths, "--set", "out=reference")
        self.weights = fingerprint_of(str(self.out / "reference"))
        self.up()

    def ctllm(self, *arguments: str) -> str:
        """What `ctllm <arguments>` prints; SystemExit when it fails."""
        environment = {**os.environ, "CTLLM_HOME": str(self.home), "NO_COLOR": "1"}
        environment["PREFECT_API_URL"] = self.server.api_url
        command = [sys.executable, "-m", "ctllm.cli.main", *arguments]
        done = subprocess.run(command, cwd=self.out, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ctllm {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def up(self) -> str:
        """Starts what does not run."""
        return self.ctllm("up", "--port", str(PORT))

    def start(self, out: str) -> str:
        """The id of a new run that trains into `out`."""
        deployment = self.server.ask("GET", "/deployments/name/pretrain/local")
        parameters = {"config": "pretrain.yaml", "tokens": "tokens", "plan": "plan", "out": out}
        body = {"parameters": parameters, "idempotency_key": uuid.uuid4().hex}  # a busy server may answer too late
        path = f"/deployments/{deployment['id']}/create_flow_run"
        answers: list[Any] = []

        def is_created() -> bool:
            answers.append(self.server.ask("POST", path, body))
            return bool(answers[-1])

        wait_until(is_created, timeout_s=PATIENCE_S)
        return str(answers[-1]["id"])

    def state(self, run: str) -> str:
        """`COMPLETED`, `RUNNING`, ... or `?` when the server does not answer."""
        found = self.server.ask("GET", f"/flow_runs/{run}")
        return str(found["state"]["type"]) if found else "?"

    def wait_for_checkpoint(self, out: str) -> None:
        """Until the run has saved once."""
        saved = self.out / out / "checkpoints"
        if not wait_until(lambda: any(saved.glob("step-*")) if saved.exists() else False, timeout_s=PATIENCE_S):
            raise SystemExit(f"{out}: no checkpoint within {PATIENCE_S:g} s")

    def wait_for_end(self, run: str) -> str:
        """Its last state."""
        ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        wait_until(lambda: self.state(run) in ended, timeout_s=PATIENCE_S)
        return self.state(run)

    def pids(self, part: str) -> list[int]:
        """Processes of the home whose command line holds `part`."""
        return [pid for pid in marked_processes(self.home) if part in command_line(pid)]

    def orphans(self) -> list[str]:
        """Command lines of flow runs and stages that still live."""
        parts = ("ctllm.cli.main", "prefect.engine", "prefect.flow_engine", "flow-run execute")
        return [command_line(pid)[:80] for part in parts for pid in self.pids(part)]

    def slots(self) -> int:
        """Taken slots of the trainers."""
        return int(self.server.ask("GET", f"/v2/concurrency_limits/{TRAINER_LIMIT}")["active_slots"])

    def drill(self, name: str, fault: Callable[["Drills", str], str]) -> bool:
        """Makes the fault in a run; prints what came of it."""
        out = f"run-{name}"
        shutil.rmtree(self.out / out, ignore_errors=True)
        run = self.start(out)
        self.wait_for_checkpoint(out)
        done, started = fault(self, run), time.monotonic()
        state = self.wait_for_end(run)
        orphans_left = not wait_until(lambda: not self.orphans(), timeout_s=40)
        seconds, steps = time.monotonic() - started, len(read_ledger(str(self.out / out)))
        is_free = wait_until(lambda: self.slots() == 0, timeout_s=240)
        freed = time.monotonic() - started
        again = state if state == "COMPLETED" else self.wait_for_end(self.start(out))
        lines = [line.step for line in read_ledger(str(self.out / out))]
        found: dict[str, Any] = {
            "drill": name, "done": done, "state": state, "seconds": round(seconds, 1), "steps_then": steps,
            "orphans": self.orphans() if orphans_left else [], "slot_free": is_free, "slot_seconds": round(freed, 1),
            "second_run": again,
            "weights_equal": fingerprint_of(str(self.out / out)) == self.weights,
            "ledger_whole": lines == list(range(LOOP["steps"])),
        }  # fmt: skip
        passed = bool(
            again == "COMPLETED" and found["weights_equal"] and found["ledger_whole"] and is_free and not orphans_left
        )
        print(json.dumps(found | {"passed": passed}), flush=True)
        return passed


def trigger(drills: Drills) -> bool:
    """A version is published from the command line; its event must start the chain, which rejects it."""
    drills.ctllm("curate", "configs/curation/demo.yaml", "--input", "corpus", "--out", "curated")
    reference = f"zh@{time.time():.0f}"
    started = time.monotonic()
    drills.ctllm("runs", "publish", reference, "curated", "--announce")
    chosen = {"flow_runs": {"name": {"any_": [f"train {reference}"]}}}
    wait_until(lambda: bool(drills.server.ask("POST", "/flow_runs/filter", chosen)), timeout_s=PATIENCE_S)
    (run,) = drills.server.ask("POST", "/flow_runs/filter", chosen)
    drills.wait_for_end(run["id"])
    state = drills.server.ask("GET", f"/flow_runs/{run['id']}")["state"]
    found = {"drill": "trigger", "done": f"`ctllm runs publish {reference} curated --announce`"}
    found |= {"state": state["name"], "message": state["message"], "seconds": round(time.monotonic() - started, 1)}
    print(json.dumps(found | {"passed": state["name"] == "Rejected"}), flush=True)
    return bool(state["name"] == "Rejected")


def command_line(pid: int) -> str:
    """The arguments of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def cancel(drills: Drills, run: str) -> str:
    """As the button on the run's page does."""
    drills.server.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}, "force": False})
    return "cancelled on the page"


def kill_child(drills: Drills, _run: str) -> str:
    """The stage's process, as the kernel does when memory is short."""
    for pid in drills.pids("ctllm.cli.main pretrain"):
        os.kill(pid, signal.SIGKILL)
    return "SIGKILL to `ctllm pretrain`"


def kill_flow(drills: Drills, run: str) -> str:
    """The flow's own process: the one whose environment names the run, and that is not the stage."""
    for pid in marked_processes(drills.home):
        is_of_run = run.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        if is_of_run and "ctllm.cli.main" not in command_line(pid):
            os.kill(pid, signal.SIGKILL)
    return "SIGKILL to the flow"


def kill_worker(drills: Drills, _run: str) -> str:
    """The worker alone; `ctllm up` brings another."""
    os.kill(Background(drills.home, "worker").pid() or 0, signal.SIGKILL)
    drills.up()
    return "SIGKILL to the worker, `ctllm up`"


def restart_server(drills: Drills, _run: str) -> str:
    """The server alone, with all its processes; `ctllm up` brings it back."""
    pid = Background(drills.home, "server").pid() or 0
    os.killpg(pid, signal.SIGKILL)
    time.sleep(15)
    drills.up()
    return "SIGKILL to the server, 15 s later `ctllm up`"


def restart_host(drills: Drills, _run: str) -> str:
    """Everything at once, as when the power goes; `ctllm up` after the start."""
    for pid in marked_processes(drills.home):
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    said = drills.up()
    return "SIGKILL to everything, `ctllm up`: " + "; ".join(line for line in said.splitlines() if "ended with" in line)


FAULTS: dict[str, Callable[[Drills, str], str]] = {
    "cancel": cancel,
    "kill_child": kill_child,
    "kill_flow": kill_flow,
    "kill_worker": kill_worker,
    "restart_server": restart_server,
    "restart_host": restart_host,
}


def main() -> int:
    """All drills; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a directory, continued if it is there")
    names = [*FAULTS, "trigger"]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    arguments = parser.parse_args()
    drills = Drills(arguments.out)
    try:
        passed = [trigger(drills) if name == "trigger" else drills.drill(name, FAULTS[name]) for name in arguments.only]
    finally:
        print(drills.ctllm("down").strip(), flush=True)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
