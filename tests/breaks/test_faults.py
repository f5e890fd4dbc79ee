"""Every fault still applies, and the tests that it must break are there."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.breaks import HOUSE, Fault, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_a_fault_applies_and_names_tests_that_exist(fault: Fault, tmp_path: Path) -> None:
    file = tmp_path / fault.file
    file.parent.mkdir(parents=True)
    shutil.copy(HOUSE / fault.file, file)

    fault.plant(tmp_path)

    assert file.read_text() != (HOUSE / fault.file).read_text()
    assert fault.breaks
    assert [test for test in fault.breaks if not _exists(test)] == []


def test_there_are_thirty_faults_and_no_two_of_one_name() -> None:
    names = [fault.name for fault in faults()]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name in _names(ast.parse((HOUSE / file).read_text()).body)


def _names(body: list[ast.stmt]) -> set[str]:
    """What a module defines; hypothesis' classes of tests are assigned."""
    defined = {
        node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assigned = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return defined | {target.id for target in assigned if isinstance(target, ast.Name)}
