"""Training in several processes, started by torchrun: each holds a share of weights, gradients and moments (FSDP2).

    torchrun --nproc-per-node 8 --no-python ctllm pretrain configs/pretrain/recommended.yaml

Process r of n takes every n-th sequence of the step's batch, from r. Gradients are summed, not averaged, over the
processes and divided once by the labels of the whole step, so n processes compute what one computes, to float32
rounding. Weights travel in float32: the matrix product casts them, as in one process. `loop.shard_processes` below n
makes groups that each hold a whole copy (HSDP): only gradients travel between groups, for slow networks. A process that
was not started by torchrun is alone, and nothing here is used.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from ctllm.model.batches import TensorBatch
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import ConfigError, StageError
from ctllm.schemas.training_config import LoopConfig

B = TypeVar("B", bound=TensorBatch)
V = TypeVar("V")


def num_processes() -> int:
    """Of this run, as torchrun says; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process speaks for the run: all of them come to the same summary."""
    return int(os.environ.get("RANK", "0")) == 0


def local_rank() -> int:
    """Number of this process on its machine, which is the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_processes() -> int:
    """Processes of this run on this machine: they share its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def check_processes(loop: LoopConfig, *, processes: int) -> None:
    """Raises ConfigError when the step, or the processes, cannot be shared out evenly."""
    if loop.sequences_per_step % processes:
        raise ConfigError(
            f"loop.sequences_per_step {loop.sequences_per_step} is no multiple of the {processes} processes; set "
            f"it to {-(-loop.sequences_per_step // processes) * processes} or start another number of processes"
        )
    if processes % (loop.shard_processes or processes):
        raise ConfigError(
            f"loop.shard_processes {loop.shard_processes} does not divide the {processes} processes; set a divisor, "
            "or null for one group"
        )


@dataclass(frozen=True)
class World:
    """The processes of a run. Every method is called by all of them at the same place."""

    device: torch.device
    rank: int = 0
    size: int = 1
    mesh: DeviceMesh | None = None
    """One axis (FSDP), or groups by members (HSDP); None when alone."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def place(self, model: Transformer) -> None:
        """Moves the model to the device; of several processes each keeps its share."""
        if self.mesh is None:
            model.to(self.device)
            return
        for module in [*model.layers, model]:
            sharded = fully_shard(module, mesh=self.mesh)
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(True)  # gloo can do no other, NCCL is as fast
        register_fsdp_forward_method(model, "hidden_states")

    def share(self, batch: B) -> B:
        """The sequences of this process."""
        return batch.share(self.rank, self.size)

    def sum(self, figures: Sequence[float]) -> list[float]:
        """Figure by figure over all processes; the same numbers come out everywhere."""
        if self.size == 1:
            return list(figures)
        total = torch.tensor(figures, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Flag by flag, whether it is set anywhere."""
        return [count > 0 for count in self.sum([float(flag) for flag in flags])]

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """Of all gradients, `gradients` being this process's shares; a scalar, the same everywhere."""
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.mesh is None:
            return norm
        squares = norm.to(torch.float64).square()
        dist.all_reduce(squares)
        copies = self.mesh.size(0) if self.mesh.ndim == 2 else 1
        return (squares / copies).sqrt().to(norm.dtype)

    def tell(self, value: V | None) -> V:
        """The first process's value, in all."""
        values: list[Any] = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, src=0, device=self.device)
        assert values[0] is not None
        return values[0]  # type: ignore[no-any-return]

    def gather(self, value: V) -> list[V]:
        """Every process's value, by its rank, in all."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def meet(self) -> None:
        """Waits until all are here; what the first wrote to the disk before is there afterwards."""
        self.sum([0.0])


@contextmanager
def open_world(loop: LoopConfig, device: torch.device) -> Iterator[World]:
    """The processes of this run, connected while the block runs.

    Raises ConfigError when they do not divide the step, StageError when one of the others ends or cannot be reached.
    """
    size = num_processes()
    check_processes(loop, processes=size)
    if size == 1:
        yield World(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    rank = dist.get_rank()
    try:
        yield World(device, rank, size, _mesh(device, size=size, members=loop.shard_processes or size))
    except RuntimeError as error:
        if not _is_lost_peer(error):
            raise
        way_out = "torchrun's summary says why; run the same command again to continue from the newest checkpoint"
        raise StageError(f"process {rank} of {size}: another process ended or cannot be reached; {way_out}") from error
    dist.destroy_process_group()


def local_part(tensor: Tensor) -> Tensor:
    """What of `tensor` lies in this process, not a copy."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of `tensor`, gathered when it is shared out."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_like(full: Tensor, model_tensor: Tensor) -> Tensor:
    """`full`, which every process has, shared out as `model_tensor` is and on its device."""
    full = full.to(model_tensor.device)
    if not isinstance(model_tensor, DTensor):
        return full
    return distribute_tensor(full, model_tensor.device_mesh, model_tensor.placements, src_data_rank=None)


def reshard(model: Transformer) -> None:
    """Gives up what a forward pass gathered and no backward pass followed."""
    if isinstance(model, FSDPModule):
        model.reshard()


def _mesh(device: torch.device, *, size: int, members: int) -> DeviceMesh:
    if members == size:
        return init_device_mesh(device.type, (size,), mesh_dim_names=("shard",))
    return init_device_mesh(device.type, (size // members, members), mesh_dim_names=("replicate", "shard"))


def _is_lost_peer(error: RuntimeError) -> bool:
    """Gloo raises plain RuntimeErrors that begin with its source file; NCCL has classes of its own."""
    return isinstance(error, dist.DistBackendError | dist.DistNetworkError) or "gloo/" in str(error).lower()
