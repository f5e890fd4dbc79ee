"""What must not be waited for: `--help`, and the import of the command line."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("httpx", "rich", "pydantic", "msgspec", "apsw", "starlette", "asyncio", "jq")


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from smply.cli import main; status = main(['instances', 'get', '--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout.startswith("Usage: smply instances get")
