"""The one sink: data to stdout, the rest to stderr; for people and for programs."""

from __future__ import annotations

import asyncio
import io
from typing import TextIO

import pytest
from rich.text import Text

from smply.cli._errors import Report, Subject, exit_status, report
from smply.cli._output import Output, ReaderGone, Wishes
from smply.errors import (
    ApiError,
    AuthorizerRefused,
    BuildError,
    Conflict,
    DataDirectoryError,
    Forbidden,
    InvalidParameter,
    LimitExceeded,
    MachineError,
    NoAnswer,
    NotBuilt,
    NotConfirmed,
    NotFound,
    SettleTimeout,
    SmplyError,
    TooLarge,
    Unavailable,
    UsageError,
)
from smply.models import (
    InstanceSummary,
    LogEntry,
    Machine,
    MachineSummary,
    Notice,
    State,
    Version,
)
from tests.cli.checkout import NOW, VERSION
from tests.cli.terminal import Latin, Terminal

STACK = "\n".join(
    [
        'guard hasBudget threw while order-1042 handled "approve"; nothing was changed',
        "TypeError: Cannot read properties of undefined (reading 'limit')",
        *[f"    at f{at} (checkout.ts:{at}:19)" for at in range(1, 9)],
    ]
)


AS_IT_IS = Wishes()
NOTHING = Subject()


def written(value: object, wishes: Wishes = AS_IT_IS) -> str:
    stdout = io.StringIO()
    Output(wishes, stdout=stdout, stderr=io.StringIO()).json(value)
    return stdout.getvalue()


def told(error: Exception, wishes: Wishes = AS_IT_IS, subject: Subject = NOTHING) -> str:
    stderr = Terminal()
    Output(wishes, stdout=io.StringIO(), stderr=stderr, width=80).error(report(error, subject))
    return stderr.plain


def test_json_is_that_of_the_npm_tool() -> None:
    """cli.md, "Output": two spaces, and letters as they are."""
    state = State(
        ts=7, state={"a": "b"}, tags=[], done=False, states=["a", "a.b"],
        public_context={"who": "Zoë"},
    )  # fmt: skip
    assert (
        written(state)
        == """\
{
  "ts": 7,
  "state": {
    "a": "b"
  },
  "publicContext": {
    "who": "Zoë"
  },
  "tags": [],
  "done": false,
  "states": [
    "a",
    "a.b"
  ]
}
"""
    )


def test_a_slug_is_a_name() -> None:
    machines = [MachineSummary("m", "2026-11-01T10:00:00.000Z")]
    assert (
        written(machines)
        == """\
[
  {
    "name": "m",
    "createdAt": "2026-11-01T10:00:00.000Z"
  }
]
"""
    )
    instance = InstanceSummary("i", "2026-11-01T10:00:00.000Z", "running", VERSION)
    assert '"name": "i"' in written(instance)


def test_an_empty_list_is_one() -> None:
    assert written([]) == "[]\n"


def test_fields_are_picked_and_missing_ones_remarked() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    output = Output(Wishes(fields=("a", "b.c", "nothing")), stdout=stdout, stderr=stderr)
    output.json([{"a": 1, "b": {"c": 2, "d": 3}}, {"b": {}}])
    assert stdout.getvalue().replace("\n", "").replace(" ", "") == '[{"a":1,"b":{"c":2}},{}]'
    assert stderr.getvalue() == "remark: the answer has no field nothing\n"


def test_jq_prints_each_result_and_strings_bare() -> None:
    value = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
    assert written(value, Wishes(jq=".[].name")) == "a\nb\n"
    assert written(value, Wishes(jq="map(.n) | add")) == "3\n"
    with pytest.raises(SmplyError, match="--jq failed on the answer: "):
        written(value, Wishes(jq=".name"))


def test_a_stream_without_utf8_gets_ascii_json() -> None:
    stdout = Latin()
    Output(stdout=stdout, stderr=io.StringIO()).json("Zoë")
    assert stdout.getvalue() == '"Zo\\u00eb"\n'


def test_a_stream_without_utf8_gets_ascii_frames() -> None:
    stderr = Latin()
    Output(stdout=io.StringIO(), stderr=stderr).error(Report("x", "no\n\n 1 │ a…", None, 1))
    assert stderr.getvalue() == "error: no\n\n  1 | a...\n"


@pytest.mark.parametrize(
    ("view", "terminal", "for_people"),
    [
        (None, True, True),
        (None, False, False),
        ("json", True, False),
        ("tree", False, True),
        ("table", False, True),
    ],
)
def test_people_are_shown_screens(view: str | None, terminal: bool, for_people: bool) -> None:
    stdout = Terminal() if terminal else io.StringIO()
    assert Output(Wishes(view), stdout=stdout, stderr=io.StringIO()).for_people == for_people


def test_fields_and_jq_mean_json() -> None:
    for wishes in (Wishes(fields=("a",)), Wishes(jq=".")):
        assert not Output(wishes, stdout=Terminal(), stderr=io.StringIO()).for_people


def test_lines_are_not_wrapped_and_not_coloured_where_nobody_looks() -> None:
    stdout = io.StringIO()
    output = Output(Wishes("tree"), stdout=stdout, stderr=io.StringIO(), width=20)
    output.lines(lambda frame: [Text("x" * 30, style="bold green")], NOW)
    assert stdout.getvalue() == "x" * 30 + "\n"


def test_a_reader_that_has_gone_ends_the_output(gone: TextIO) -> None:
    output = Output(Wishes("tree"), stdout=gone, stderr=gone)
    with pytest.raises(ReaderGone):
        output.json({})
    with pytest.raises(ReaderGone):
        output.lines(lambda frame: [Text("x")], NOW)
    output.remark("nobody hears this, and nothing happens")


def test_logs_are_one_line_each_with_instance_and_phase() -> None:
    stderr = io.StringIO()
    output = Output(stdout=io.StringIO(), stderr=stderr)
    output.log(LogEntry("checkout", "order-1042", "action", "stdout", "one\ntwo\n"))
    output.log(LogEntry("checkout", None, "load", "stdout", "\x1b[2Jhello"))
    assert (
        stderr.getvalue()
        == """\
order-1042 action: one
order-1042 action: two
checkout load: \\u001b[2Jhello
"""
    )


def test_an_action_that_threw_is_one_line() -> None:
    """Client-facts 54."""
    stderr = io.StringIO()
    output = Output(Wishes(quiet=True), stdout=io.StringIO(), stderr=stderr)
    output.log(LogEntry("m", "i", "action", "stderr", "Error: no\n    at notify (m.ts:3:1)"))
    output.log(LogEntry("m", "i", "rejection", "stderr", "TypeError: x\n    at m.ts:1:2"))
    assert stderr.getvalue() == "i action: Error: no\ni rejection: TypeError: x\n"


def test_quiet_silences_remarks_and_prints_but_no_errors() -> None:
    stderr = io.StringIO()
    output = Output(Wishes(quiet=True), stdout=io.StringIO(), stderr=stderr)
    output.notice(Notice("others are overdue"))
    output.step("Built", "x")
    output.comment("no machines yet")
    output.log(LogEntry("m", "i", "action", "stdout", "hello"))
    assert stderr.getvalue() == ""
    output.error(Report("x", "it is so", None, 1))
    assert stderr.getvalue() == "error: it is so\n"


@pytest.mark.anyio
async def test_a_spinner_turns_only_while_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    output = Output(stdout=io.StringIO(), stderr=stderr)
    async with output.waiting("Building"):
        pass
    assert stderr.getvalue() == ""
    monkeypatch.setattr(Output, "PATIENCE_SECONDS", 0)
    async with output.waiting("Building"):
        while "Building" not in stderr.getvalue():
            await asyncio.sleep(0)
    assert stderr.getvalue().endswith("\x1b[2K")


def test_steps_stand_in_a_column() -> None:
    stderr = io.StringIO()
    output = Output(stdout=io.StringIO(), stderr=stderr)
    output.step("Built", "checkout.ts   18.4 kB, 6.1 kB gzipped")
    output.step("Created", "checkout, ver_x is current")
    output.next("smply instances create")
    assert (
        stderr.getvalue()
        == """\
Built      checkout.ts   18.4 kB, 6.1 kB gzipped
Created    checkout, ver_x is current

Next       smply instances create
"""
    )


def test_a_missing_instance_names_the_list() -> None:
    error = NotFound("checkout has no instance order-1043", parameter="instanceSlug")
    assert (
        told(error, subject=Subject("checkout", "order-1043"))
        == """\
error: checkout has no instance order-1043
hint:  smply instances list -m checkout
"""
    )


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (NotFound("there is no machine x", parameter="machineSlug"), "smply machines list"),
        (
            NotFound("checkout has no version ver_x", parameter="machineVersionId"),
            "smply machine-versions list -m checkout",
        ),
        (
            Conflict("checkout has an instance named a already", parameter="slug"),
            "smply instances get -m checkout -i a",
        ),
        (Conflict("a is paused"), None),
        (NotFound("x", hint="its own"), "its own"),
    ],
)
def test_hints_name_the_next_step(error: SmplyError, hint: str | None) -> None:
    assert report(error, Subject("checkout", "a")).hint == hint


def test_a_refusal_shows_what_the_machine_was_given() -> None:
    error = AuthorizerRefused(
        'allowWrite of checkout refused event "approve" on order-1042\n'
        'it was given authContext {"sub": "u_12"}',
        hint="--auth-context sets what the machine sees",
    )
    assert (
        told(error)
        == """\
error: allowWrite of checkout refused event "approve" on order-1042
       it was given authContext {"sub": "u_12"}
hint:  --auth-context sets what the machine sees
"""
    )


def test_a_build_error_shows_the_line_itself() -> None:
    source = "\n".join(["", "  14 │   states: { cart: {", "     │           ^"])
    assert (
        told(BuildError(f'src/checkout.ts:14:22: Expected ")" but found "{{"\n{source}'))
        == """\
error: src/checkout.ts:14:22: Expected ")" but found "{"

   14 │   states: { cart: {
      │           ^
"""
    )


def test_a_stack_is_cut_for_people() -> None:
    assert (
        told(MachineError(STACK))
        == """\
error: guard hasBudget threw while order-1042 handled "approve"; nothing was changed
       TypeError: Cannot read properties of undefined (reading 'limit')
           at f1 (checkout.ts:1:19)
           at f2 (checkout.ts:2:19)
           at f3 (checkout.ts:3:19)
hint:  the same with --json has the whole stack
"""
    )


def test_with_json_an_error_is_one_object() -> None:
    stderr = io.StringIO()
    Output(Wishes("json"), stdout=io.StringIO(), stderr=stderr).error(
        report(NotFound("no é", hint="h"))
    )
    assert (
        stderr.getvalue()
        == """\
{
  "error": {
    "code": "not-found",
    "message": "no é",
    "hint": "h"
  }
}
"""
    )
    assert "at f8" in told(MachineError(STACK), Wishes("json"))


def test_a_fault_of_ours_is_told_in_one_sentence() -> None:
    try:
        raise KeyError("x")
    except KeyError as exc:
        fault = report(exc)
    assert fault.message.startswith("smply met a fault of its own: KeyError: 'x' (")
    assert (fault.code, fault.exit_status) == ("internal", 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 2),
        (NotConfirmed("x"), 3),
        (Forbidden("x"), 4),
        (AuthorizerRefused("x"), 4),
        (ApiError("x", status=401), 4),
        (NotFound("x"), 5),
        (Conflict("x"), 6),
        (ApiError("x", status=412), 6),
        (NoAnswer("x"), 7),
        (SettleTimeout("x"), 7),
        (BuildError("x"), 1),
        (DataDirectoryError("x"), 1),
        (InvalidParameter("x"), 1),
        (TooLarge("x"), 1),
        (LimitExceeded("x"), 1),
        (MachineError("x"), 1),
        (NotBuilt("x"), 1),
        (Unavailable("x"), 1),
    ],
)
def test_exit_statuses_have_meanings(error: SmplyError, status: int) -> None:
    """cli.md, "Ours"."""
    assert exit_status(error) == status


def test_machines_get_has_its_facts_nested_and_at_the_top() -> None:
    """W1."""
    from smply.cli._shapes import created_machine_json, machine_json

    version = Version("ver_1", "2026-11-01T10:00:00.000Z", "0.0.1")
    info = {"id": "ver_1", "createdAt": "2026-11-01T10:00:00.000Z", "clientInfo": "0.0.1"}
    facts = {"createdAt": "2026-11-01T09:00:00.000Z", "indexes": [], "currentVersion": info}
    machine = Machine("2026-11-01T09:00:00.000Z", [], version)
    assert machine_json("m", machine) == {"machine": facts, "name": "m", **facts}
    # F15.
    assert created_machine_json("m", version) == {
        "name": "m",
        "currentVersion": {"machineVersionId": "ver_1", **info},
    }
    assert created_machine_json("m", None) == {"name": "m"}
