"""The system calls that strangers' code is refused: what no namespace closes, and no model needs.

Key rings go with a process wherever it goes, and may hold a Kerberos ticket of whoever started it. System V segments are
memory that is nobody's. The others are the kernel's largest open flanks. Refused as if the kernel did not know them, so that
programs take the way that they have for older kernels.
"""

from __future__ import annotations

import errno
import platform
import struct

# Numbers from the kernel's tables (include/uapi/asm-generic/unistd.h; arch/x86/entry/syscalls/syscall_64.tbl).
_X86_64 = {
    "shmget": 29, "add_key": 248, "request_key": 249, "keyctl": 250, "perf_event_open": 298, "open_by_handle_at": 304,
    "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
}  # fmt: skip
_AARCH64 = {
    "shmget": 194, "add_key": 217, "request_key": 218, "keyctl": 219, "perf_event_open": 241, "open_by_handle_at": 265,
    "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
}  # fmt: skip
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
_OTHER_NUMBERING = 0x40000000
"""On x86-64 this bit asks for the same calls under other numbers (x32)."""

# Instructions of the classic Berkeley packet filter (linux/filter.h), and what a filter may say (linux/seccomp.h).
_LOAD, _EQUAL, _GREATER_OR_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW = 0x7FFF0000
_UNKNOWN = 0x00050000 | errno.ENOSYS


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """The filter, as the kernel and bubblewrap's ``--seccomp`` take it; None for a machine that has none here.

    :param machine: as ``uname -m`` names it; by default this one
    """
    known = _ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return None
    architecture, refused = known
    numbers = sorted(refused.values())
    # Jumps count instructions: from each test to the refusal, which is the last one.
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, len(numbers) + 3, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_GREATER_OR_EQUAL, len(numbers) + 1, 0, _OTHER_NUMBERING),
        *((_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
