"""Plants each fault in turn and compares what fails with what should: see the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.breaks import HOUSE, Fault, faults

_AT_ONCE = int(os.environ.get("SMPLY_BREAKS_AT_ONCE", "2"))
_SECONDS = 1_800
_PYTEST = ("-m", "pytest", "-q", "--tb=no", "--ignore=tests/breaks")
_COMMAND = "import sys\nfrom smply.__main__ import main\nsys.exit(main())\n"

_BLIND = {
    "store": ("runtime",),
    "runtime": ("store",),
    "engine": ("store", "runtime"),
    "api": ("store", "runtime", "engine"),
    "cli": ("store", "runtime", "engine", "api", "client", "differential"),
}
"""By room: those whose tests cannot see it, since imports go downwards only."""


def main(words: list[str]) -> int:
    chosen = [fault for fault in faults() if not words or any(word in fault.name for word in words)]
    bad = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for fault, wrong in zip(chosen, pool.map(_try, chosen), strict=True):
            mark = "red " if wrong else "ok  "
            print(f"{mark} {fault.name}", *wrong, sep="\n       ", flush=True)
            bad += bool(wrong)
    print(f"{len(chosen) - bad} of {len(chosen)} faults break exactly what they should")
    return 1 if bad else 0


def _try(fault: Fault) -> list[str]:
    """What is wrong with a fault: nothing, if exactly the tests that it names fail."""
    with tempfile.TemporaryDirectory(prefix="smply-break-") as name:
        house = Path(name)
        _copy(house)
        _install(house)
        fault.plant(house)
        if fault.file.endswith(".ts"):
            build = house / "smply/runtime/host/hatch_build.py"
            subprocess.run(
                [house / ".venv/bin/python", build], check=True, stdout=subprocess.DEVNULL
            )
        try:
            failing = _failing(house, _ignored(fault))
        except RuntimeError as exc:
            return [str(exc)]
    wrong = [f"does not break {test}" for test in sorted(set(fault.breaks) - failing)]
    return wrong + [f"also breaks {test}" for test in sorted(failing - set(fault.breaks))]


def _copy(house: Path) -> None:
    """The checkout, as it is now, with its built host."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (HOUSE / name).exists():
            (house / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HOUSE / name, house / name)
    dist = Path("smply/runtime/host/dist")
    shutil.copytree(HOUSE / dist, house / dist)


def _install(house: Path) -> None:
    """An environment whose commands run this copy, with the libraries of ours."""
    environment = house / ".venv"
    venv.create(environment, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = environment / "lib" / version / "site-packages"
    (site / "house.pth").write_text(f"{house}\n{sysconfig.get_path('purelib')}\n")
    (environment / "bin" / "deno").symlink_to(Path(sys.executable).parent / "deno")
    command = environment / "bin" / "smply"
    command.write_text(f"#!{environment / 'bin' / 'python'}\n{_COMMAND}")
    command.chmod(0o755)


def _ignored(fault: Fault) -> list[str]:
    room = Path(fault.file).parts[1]
    return [f"--ignore=tests/{blind}" for blind in _BLIND.get(room, ())]


def _failing(house: Path, ignored: list[str]) -> set[str]:
    """The tests of this copy that fail, and fail again: a busy machine breaks nothing twice."""
    failing = _failures(house, ignored)
    return failing and failing & _failures(house, [*ignored, "--last-failed"])


def _failures(house: Path, arguments: list[str]) -> set[str]:
    report = house / "report.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [house / ".venv/bin/python", *_PYTEST, f"--junitxml={report}", *arguments],
        cwd=house, stdout=subprocess.DEVNULL, timeout=_SECONDS,
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError("the tests came to no end")
    failed = set()
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(_name_of(case.attrib["classname"], case.attrib["name"]))
    return failed


def _name_of(place: str, test: str) -> str:
    """`a/test_b.py::test_c`, and of what hypothesis makes of a class, the class."""
    parts = place.split(".")
    name = parts.pop() if parts[-1][0].isupper() else test.partition("[")[0]
    return f"{'/'.join(parts)}.py::{name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
