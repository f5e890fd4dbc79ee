"""`smply`, and `python -m smply`: the command line, from its first moment."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line of this process; ends it with the exit status."""
    # Where interrupts are ignored, as behind `nohup`, they stay so.
    heeds = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds:
        signal.signal(signal.SIGINT, _end)
    # Imported here, so that an interrupt meanwhile is one too, and not a traceback.
    from smply import cli

    try:
        if heeds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = cli.main()
    except KeyboardInterrupt:
        status = 130
    # All is said and done. What Python does at its own end takes 7 ms, would be killed by an
    # interrupt, and tries once more to write what could not be written.
    os._exit(status)


def _end(*_: object) -> None:
    # Nothing is begun yet. An exception would be lost in a callback of Python's imports.
    os._exit(130)


if __name__ == "__main__":
    main()
