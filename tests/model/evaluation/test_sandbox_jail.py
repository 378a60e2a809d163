"""The jail's filter, run by a small interpreter of classic BPF; `test_sandbox` has the kernel run it."""

import os
import struct

import pytest

from ctllm.model.evaluation.sandbox_jail import ALLOW, ARCHITECTURES, EPERM, ERRNO, KILL, filter_program

REFUSED = ERRNO | EPERM


def verdict(program: bytes, *, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the filter returns for a system call (linux/seccomp.h: struct seccomp_data, little-endian)."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, arch, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, register = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:  # BPF_RET | BPF_K
            return value
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (register,) = struct.unpack_from("<I", data, value)
        else:  # BPF_JMP | BPF_JEQ, BPF_JGE, BPF_JSET, each with BPF_K
            is_true = {0x15: register == value, 0x35: register >= value, 0x45: bool(register & value)}[code]
            at += if_true if is_true else if_false


X86_64 = {
    "read": (0, ALLOW), "write": (1, ALLOW), "close": (3, ALLOW), "mmap": (9, ALLOW), "exit_group": (231, ALLOW),
    "socket": (41, REFUSED), "connect": (42, REFUSED), "clone": (56, REFUSED), "fork": (57, REFUSED),
    "execve": (59, REFUSED), "kill": (62, REFUSED), "rename": (82, REFUSED), "unlink": (87, REFUSED),
    "ptrace": (101, REFUSED), "unlinkat": (263, REFUSED), "execveat": (322, REFUSED), "io_uring_setup": (425, REFUSED),
    "clone3": (435, REFUSED), "openat2": (437, REFUSED), "prlimit64": (302, REFUSED), "getpid": (39, ALLOW),
}  # fmt: skip
"""Calls by name, their numbers from `man 2 syscalls`' table of this machine, and what the filter has to say."""

AARCH64 = {
    "read": (63, ALLOW), "write": (64, ALLOW), "mmap": (222, ALLOW), "exit_group": (94, ALLOW),
    "socket": (198, REFUSED), "clone": (220, REFUSED), "execve": (221, REFUSED), "kill": (129, REFUSED),
    "unlinkat": (35, REFUSED), "ptrace": (117, REFUSED), "clone3": (435, REFUSED),
}  # fmt: skip


@pytest.mark.parametrize(("machine", "calls"), [("x86_64", X86_64), ("aarch64", AARCH64)])
def test_calls_that_reach_out_are_refused(machine: str, calls: dict[str, tuple[int, int]]) -> None:
    """Sockets, processes, signals and writing get EPERM; what a program needs to compute and print goes through."""
    program, arch = filter_program(machine), ARCHITECTURES[machine]
    found = {name: verdict(program, arch=arch, number=number) for name, (number, _) in calls.items()}
    assert found == {name: expected for name, (_, expected) in calls.items()}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (os.O_RDONLY, ALLOW),
        (os.O_RDONLY | os.O_CLOEXEC, ALLOW),
        (os.O_WRONLY, REFUSED),
        (os.O_RDWR, REFUSED),
        (os.O_RDONLY | os.O_CREAT, REFUSED),
        (os.O_RDONLY | os.O_TRUNC, REFUSED),
    ],
)
def test_files_are_opened_for_reading_only(flags: int, expected: int) -> None:
    """The flags decide, wherever the call has them: open's second argument, openat's third."""
    x86, arm = (filter_program(machine) for machine in ("x86_64", "aarch64"))
    calls = ((x86, "x86_64", 2, (0, flags)), (x86, "x86_64", 257, (0, 0, flags)), (arm, "aarch64", 56, (0, 0, flags)))
    for program, machine, number, arguments in calls:
        assert verdict(program, arch=ARCHITECTURES[machine], number=number, arguments=arguments) == expected


def test_no_second_table_of_calls_is_a_way_out() -> None:
    """x32 and the 32-bit table number the same calls otherwise: the one is refused, the other kills the process."""
    program, arch = filter_program("x86_64"), ARCHITECTURES["x86_64"]
    assert verdict(program, arch=arch, number=0x40000000 | 0) == REFUSED
    assert verdict(program, arch=0x40000003, number=3) == KILL  # AUDIT_ARCH_I386, read
    with pytest.raises(KeyError):
        filter_program("sparc")
