"""The child process of `sandbox`: closes itself in, then runs the program that it reads from standard input.

Run as a script by a bare interpreter, so it imports nothing of ours. First line of the input: seconds of CPU, bytes of
memory, a token; the rest is the program. The token is printed when the program has reached its end.

The filter is classic BPF over the number of each system call (man 2 seccomp, linux/seccomp.h, linux/filter.h). Opening
a file is allowed for reading only, by its flags; everything in DENIED fails with EPERM. Run on x86-64; the numbers of
aarch64 are from its table and were not tried.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterator

JAIL_FAILED = 97
EPERM = 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # linux/seccomp.h: SECCOMP_RET_*
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
X32_BIT = 0x40000000  # x86-64's second table of the same calls

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
OPENING = {"x86_64": {2: 1, 257: 2}, "aarch64": {56: 2}}
"""open and openat: number of the argument that holds the flags."""
DENIED = {
    "x86_64": (
        *range(41, 60),  # socket … execve: sockets, clone, fork, vfork
        62, 64, 68, 69, 71, 76, 77,  # kill, semget, msgget, msgsnd, msgctl, truncate, ftruncate
        *range(82, 96),  # rename, mkdir, rmdir, creat, link, unlink, symlink, readlink … chmod, chown, umask
        101, 109, 112, 133, 155, 160, 161, 165, 166,  # ptrace, setpgid, setsid, mknod, pivot_root, setrlimit …
        200, 234, 248, 249, 250, 256, 258, 259, 260, 263, 264, 265, 266, 268, 272,  # tkill, tgkill, *at
        280, 285, 288, 298, 299, 302, 303, 304, 307, 308, 310, 311, 316, 319, 321, 322, 323,  # utimensat … execveat
        *range(424, 436), 437, 438, 452,  # pidfd_send_signal, io_uring, mount, clone3, openat2, pidfd_getfd, fchmodat2
    ),
    "aarch64": (
        5, 6, 7, 14, 15, 16, 33, 34, 35, 36, 37, 38, 39, 40, 41, 45, 46, 47, 52, 53, 54, 55, 88, 97, 117,
        129, 130, 131, 154, 157, 164, 186, 188, 189, 190, 193, 194, 195,
        *range(198, 213), 217, 218, 219, 220, 221, 241, 242, 243, 261, 264, 265, 268, 269, 270, 271, 276, 277, 279,
        280, 281, 282, *range(424, 436), 437, 438, 452,
    ),
}  # fmt: skip
"""Numbers of arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h."""


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def filter_program(machine: str) -> bytes:
    """The BPF program for this kind of machine. Raises KeyError for one whose numbers we do not know."""
    return b"".join(_instructions(machine))


def _instructions(machine: str) -> Iterator[bytes]:
    refuse = _instruction(RETURN, ERRNO | EPERM)
    yield _instruction(LOAD, 4)  # seccomp_data.arch
    yield _instruction(JUMP_EQUAL, ARCHITECTURES[machine], if_true=1)
    yield _instruction(RETURN, KILL)
    yield _instruction(LOAD, 0)  # seccomp_data.nr
    yield _instruction(JUMP_AT_LEAST, X32_BIT, if_false=1)
    yield refuse
    for number in sorted({*DENIED[machine]} - {*OPENING[machine]}):
        yield _instruction(JUMP_EQUAL, number, if_false=1)
        yield refuse
    for number, argument in OPENING[machine].items():
        yield _instruction(JUMP_EQUAL, number, if_false=4)
        yield _instruction(LOAD, 16 + 8 * argument)  # low half of the argument, as both machines are little-endian
        yield _instruction(JUMP_ANY_BIT, WRITING, if_false=1)
        yield refuse
        yield _instruction(RETURN, ALLOW)
    yield _instruction(RETURN, ALLOW)


def close_jail(*, cpu_seconds: int, memory_bytes: int) -> None:
    """Limits and filter, from which there is no way back. Raises OSError or KeyError when they cannot be set."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))  # the first sends SIGXCPU, which names it
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(limit, (value, value))
    program = filter_program(platform.machine())
    buffer = ctypes.create_string_buffer(program, len(program))

    class FilterProgram(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    filters = FilterProgram(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(filters), 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


def main() -> None:
    """Reads, closes the jail, runs, and leaves without the interpreter's own goodbye."""
    first, _, program = sys.stdin.read().partition("\n")
    cpu_seconds, memory_bytes, token = first.split()
    try:
        close_jail(cpu_seconds=int(cpu_seconds), memory_bytes=int(memory_bytes))
    except (OSError, KeyError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(JAIL_FAILED)
    try:
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    except BaseException as error:  # SystemExit as well: leaving early is no success
        print(f"{type(error).__name__}: {error}"[:500], flush=True)
        os._exit(1)
    print(f"\n{token}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
