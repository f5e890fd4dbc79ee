"""`smply`, and `python -m smply`: the command line, from its first moment."""

from __future__ import annotations

import os


def main() -> None:
    """Run the command line of this process; ends it with the exit status."""
    try:
        # Imported here, so that an interrupt meanwhile is one too, and not a traceback.
        from smply import cli

        status = cli.main()
    except KeyboardInterrupt:
        status = 130
    # All is said and done. What Python does at its own end takes 7 ms, would be killed by an
    # interrupt, and tries once more to write what could not be written.
    os._exit(status)


if __name__ == "__main__":
    main()
