"""Becomes a command that may make these system calls alone, as systemd's SystemCallFilter would.

`python filtered.py NAME,… COMMAND…`. Any other kills it. Linux only; it needs libseccomp, which
comes with systemd.
"""

from __future__ import annotations

import ctypes
import os
import sys

LIBRARY = "libseccomp.so.2"
_KILL, _ALLOW = 0x80000000, 0x7FFF0000


def main(names: str, *command: str) -> None:
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_KILL)))
    for name in names.split(","):
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Those of other machines have negative ones.
        if number >= 0 and library.seccomp_rule_add(context, _ALLOW, number, 0):
            sys.exit(f"{name} cannot be allowed")
    if library.seccomp_load(context):
        sys.exit("there can be no filter")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
