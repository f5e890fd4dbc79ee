"""`smply`, and `python -m smply`: the command line, from its first moment."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process; ends it with the exit status."""
    try:
        # Imported here, so that an interrupt meanwhile is one too, and not a traceback.
        from smply import cli

        status = cli.main()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
