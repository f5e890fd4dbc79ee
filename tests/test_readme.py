"""The README is the manual: its examples are run, and what they show is compared whole.

`python -m tests.test_readme` writes the outputs anew, to be read before they are committed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.transcript import EXAMPLE, Stage, run_in_terminal

ROOT = Path(__file__).parents[1]
MANUAL = ROOT / "README.md"


def played(text: str, stage: Stage) -> str:
    """The manual with what the commands of its console blocks print now."""
    stage.copy("toggler.ts")
    return "".join(f"{line}\n" for line in _played(text.splitlines(), stage))


def _played(lines: list[str], stage: Stage) -> Iterator[str]:
    inside = first = False
    for line in lines:
        if line.startswith("```"):
            inside = first = line == "```console"
        elif inside and not line.startswith("$ "):
            continue
        elif inside and not first:
            yield ""
        yield line
        if inside and line.startswith("$ "):
            first = False
            yield from _output(line.removeprefix("$ "), stage)


def _output(command: str, stage: Stage) -> Iterator[str]:
    if command.startswith("sleep "):
        # Time passes on the clock of the stage.
        stage.move(command.removeprefix("sleep "))
        return
    done = run_in_terminal(stage, ["bash", "-c", command], None)
    assert done.status == 0, f"{command}: {done.stderr}"
    for line in (done.stderr + done.stdout).splitlines():
        yield line.rstrip()


def test_the_examples_give_what_they_show(tmp_path: Path) -> None:
    kept = MANUAL.read_text()
    now = played(kept, Stage(tmp_path / "played"))
    # Ids are numbered as they come, in what is kept and in what is made.
    assert Stage(tmp_path / "now").hide(now) == Stage(tmp_path / "kept").hide(kept)


def test_the_machine_shown_is_the_example() -> None:
    shown = re.findall(r"^```ts\n(.*?)^```$", MANUAL.read_text(), re.MULTILINE | re.DOTALL)
    assert shown == [EXAMPLE.read_text()]


def test_the_manual_is_short_enough_to_be_read() -> None:
    assert len(MANUAL.read_text().splitlines()) <= 640


def test_every_command_is_in_the_manual() -> None:
    manual = MANUAL.read_text()
    for command in (
        "quickstart", "machines create", "machines list", "machines get", "machine-versions create",
        "machines set-current", "machines delete", "machine-versions list", "machine-versions get",
        "machine-versions validate-bundle", "instances create", "instances send-event",
        "instances get", "instances list", "instances list-transitions", "instances set-status",
        "instances delete", "completion", "login", "logout", "whoami", "orgs list", "members list",
        "invitations send", "keys create", "tokens generate", "tokens create", "profile show",
        "identity-providers upsert", "token-providers upsert", "logs get", "audit list", "usage",
        "billing", "api", "backup", "restore",
    ):  # fmt: skip
        assert f"smply {command}" in manual, command


def main() -> None:
    """Write the manual with the example and the outputs of now."""
    text = re.sub(
        r"^```ts\n.*?^```$",
        lambda _: f"```ts\n{EXAMPLE.read_text()}```",
        MANUAL.read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    with tempfile.TemporaryDirectory() as directory:
        MANUAL.write_text(played(text, Stage(Path(directory))))


if __name__ == "__main__":
    main()
