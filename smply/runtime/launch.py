"""Limits itself and then becomes another program: `python -IS launch.py PARENT BYTES FILTER …`.

`sandbox.confined` decides all of it. This runs by itself, in the child, and without the rest of
smply: what a process does between fork and exec could do the same, but that kind of fork holds up
the event loop while the kernel copies the tables of its memory. [4 to 8 ms for a server of 80 MB,
0.2 ms without; Python takes 9 ms in the child.] Linux only.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SET_FILTER, _KEEP_SPECULATING = 1, 4


class _Program(ctypes.Structure):
    """A program of seccomp(2): how many instructions of eight bytes, and where they are."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def main(parent: str, data_bytes: str, sockets: str, *command: str) -> None:
    """Become `command`, an absolute path and its arguments.

    `parent` is the process with which this one dies, `data_bytes` what it may write to (0: any),
    `sockets` the number of the system call `seccomp`, a colon and its program in hex, or nothing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if int(data_bytes):
        most = int(data_bytes) if most == resource.RLIM_INFINITY else min(int(data_bytes), most)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("it has lost its parent")
    if sockets:
        call, _, program = sockets.partition(":")
        code = bytes.fromhex(program)
        held = _Program(len(code) // 8, code)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
            int(call), _SET_FILTER, _KEEP_SPECULATING, ctypes.byref(held)
        ):
            sys.exit(f"its sockets cannot be limited: {os.strerror(ctypes.get_errno())}")
    # What Python has changed for itself, or needed.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    for name in ("LC_CTYPE", "LD_LIBRARY_PATH"):
        os.environ.pop(name, None)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
