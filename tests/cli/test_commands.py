"""Commands from argv to what is printed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from typing import Any, TextIO

import pytest

from smply.cli import main
from smply.cli._connect import open_client
from smply.cli._output import Output, Wishes
from smply.client import AsyncClient
from smply.config import load_config
from smply.connection import Flags, connect
from tests.cli.checkout import CHECKOUT, DAY, NOW, SECOND, iso
from tests.cli.conftest import Run

ORDER = ["-m", "checkout", "-i", "order-1042"]
TRIAL = ["-m", "checkout", "-i", "trial"]
ACT = ["--auth-context", '{"sub": "u_12"}']
STRANGER = ["--auth-context", '{"sub": "u_66"}']
SOME = 103
"""With what is there already, more than a page has."""


def by_client(body: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    """What `body` gives, of a client of the data directory in use."""

    async def opened() -> Any:
        config, quiet = load_config(), Output(Wishes(quiet=True))
        async with open_client(config, connect(Flags(), config), quiet) as client:
            return await body(client)

    return asyncio.run(opened())


def in_payment(version: str) -> dict[str, Any]:
    """order-1042 as an administrator sees it."""
    info = {"id": version, "createdAt": iso(NOW - 3 * DAY), "clientInfo": "0.0.1"}
    return {
        "state": {"payment": {"fraud": "checking", "method": "card"}},
        "context": {"public": {"total": 0}, "approver": "u_81"},
        "status": "running",
        "tags": [],
        "done": False,
        "machineVersion": info,
        "createdAt": iso(NOW - 3 * DAY),
    }


def test_the_examples_of_this_folder_are_the_machine_that_is_run(version: str) -> None:
    async def definition(client: AsyncClient) -> Any:
        return (await client.versions.get("checkout", version)).definition

    assert by_client(definition) == CHECKOUT


def test_create_sends_the_context_and_who_acts(version: str, run: Run) -> None:
    order = ["-m", "checkout", "-i", "order-1044", "--context", '{"public": {"total": 7}}']
    refused = run("instances", "create", *order, *STRANGER)
    assert (refused.status, refused.stdout) == (4, "")
    result = run("instances", "create", *order, *ACT)
    assert (result.status, result.stderr) == (0, "")
    assert result.json == {
        "ts": NOW,
        "state": "cart",
        "publicContext": {"total": 7},
        "tags": [],
        "done": False,
        "states": ["cart"],
    }
    assert run("instances", "get", *order[:4]).json["context"]["approver"] == "u_81"


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        ("add", {"type": "add"}),
        ('{"type": "add", "total": 1}', {"type": "add", "total": 1}),
        ("[1]", {"type": "[1]"}),
    ],
)
def test_an_event_is_json_if_it_begins_with_a_brace(
    version: str, run: Run, event: str, sent: Any
) -> None:
    """S44, F19."""
    assert run("instances", "send-event", *TRIAL, *ACT, "-e", event).status == 0
    transitions = run("instances", "list-transitions", *TRIAL).json
    assert [step["event"] for step in transitions[1:]] == [sent]


def test_get_reads_as_an_administrator_or_as_a_user(version: str, run: Run) -> None:
    """F20, S38."""
    assert run("instances", "get", *ORDER).json == in_payment(version)
    public = run("instances", "get", *ORDER, "--public", *ACT).json
    assert (public["ts"], public["publicContext"]) == (NOW - 12 * SECOND, {"total": 0})
    assert "context" not in public
    assert run("instances", "get", *ORDER, "--public", *STRANGER).status == 4


@pytest.fixture
def crowded(version: str) -> None:
    """Machines, instances of checkout and transitions of trial: of each more than a page."""

    async def fill(client: AsyncClient) -> None:
        act = {"sub": "u_12"}
        for at in range(1, SOME):
            await client.machines.create(f"machine-{at}")
            await client.instances.create("checkout", f"instance-{at}", act=act)
            await client.instances.send("checkout", "trial", {"type": "add", "n": at}, act=act)

    by_client(fill)


def test_a_list_is_one_array_whatever_the_number_of_its_pages(crowded: None, run: Run) -> None:
    """W4."""
    machines = run("machines", "list").json
    assert [each["name"] for each in machines] == [
        "checkout",
        *(f"machine-{at}" for at in range(1, SOME)),
    ]
    assert list(machines[0]) == ["name", "createdAt", "currentVersion"]
    instances = run("instances", "list", "-m", "checkout").json
    assert [each["name"] for each in instances] == [
        *("order-1042", "order-1043", "trial"),
        *(f"instance-{at}" for at in range(1, SOME)),
    ]
    transitions = run("instances", "list-transitions", *TRIAL).json
    assert [step["event"].get("n") for step in transitions] == [None, *range(1, SOME)]


def test_machines_get_is_what_callers_look_for(version: str, run: Run) -> None:
    """W1."""
    answer = run("machines", "get", "-m", "checkout").json
    assert answer["machine"]["currentVersion"]["id"] == answer["currentVersion"]["id"] == version
    assert (answer["name"], answer["indexes"]) == ("checkout", [])


def test_the_alias_of_the_docs_works(version: str, run: Run) -> None:
    """C40, G3."""
    assert run("machine-instances", "get", *ORDER).json == in_payment(version)


def test_on_a_terminal_get_draws_the_instance(version: str, look: Run) -> None:
    result = look("instances", "get", *ORDER)
    facts = f"checkout · {version[:12]} · running · seq 2 · changed 12 s ago"
    assert result.stdout.startswith(f"order-1042   {facts}\n\n● checkout\n")
    assert result.stdout.endswith('private   approver  "u_81"\n')
    assert (result.status, result.stderr) == (0, "")


def test_on_a_terminal_send_event_says_what_changed(version: str, look: Run) -> None:
    fly = look("instances", "send-event", *ORDER, *ACT, "-e", "fly")
    assert fly.stdout.startswith("order-1042   no transition: payment takes approve, cancel")
    cancel = look("instances", "send-event", *ORDER, *ACT, "-e", "cancel")
    assert cancel.stdout.startswith(
        "order-1042   payment.(method.card, fraud.checking) → cancelled\n"
    )


def test_empty_lists_say_what_would_fill_them(look: Run, run: Run) -> None:
    shown = look("machines", "list")
    assert (shown.status, shown.stdout) == (0, "")
    assert shown.stderr.startswith("no machines yet\nhint:  smply machines create ")
    assert run("machines", "list").stdout == "[]\n"
    assert run("machines", "create", "-m", "checkout").status == 0
    assert look("instances", "list", "-m", "checkout").stderr.startswith(
        "checkout has no instances yet\nhint:  smply instances create -m checkout "
    )


def test_an_error_of_the_server_has_its_status_and_hint(version: str, run: Run) -> None:
    result = run("instances", "get", "-m", "checkout", "-i", "order-1044")
    assert (result.status, result.stdout) == (5, "")
    assert result.stderr == (
        "error: checkout has no instance order-1044\nhint:  smply instances list -m checkout\n"
    )


def test_a_refusal_of_the_machine_is_4(version: str, run: Run) -> None:
    """S100."""
    result = run("instances", "send-event", *ORDER, *STRANGER, "-e", "approve", "--json")
    assert (result.status, result.stdout) == (4, "")
    assert json.loads(result.stderr)["error"] == {
        "code": "rejected-by-machine-authorizer",
        "message": 'allowWrite of checkout refused event "approve" on order-1042\n'
        'it was given authContext {"sub":"u_66"}',
        "hint": "--auth-context sets what the machine sees",
    }


def test_a_closed_pipe_is_no_error(gone: TextIO) -> None:
    with redirect_stdout(gone):
        assert main(["machines", "list"]) == 0
