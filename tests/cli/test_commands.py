"""Commands from argv to what is printed, against a server of canned answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smply.cli import _connect, main
from tests.cli.canned import ADMIN, INFO, STATE, CannedServer, error
from tests.cli.checkout import VERSION
from tests.cli.conftest import Run
from tests.cli.terminal import GonePipe

ORDER = ["-m", "checkout", "-i", "order-1042"]
ACT = ["--auth-context", '{"sub": "u_12"}']


def test_create_sends_the_context_and_who_acts(server: CannedServer, run: Run) -> None:
    result = run("instances", "create", *ORDER, *ACT, "--context", '{"a": 1}')
    assert (result.status, result.json, result.stderr) == (0, STATE, "")
    assert server.asked == [
        ("POST /machines/checkout", {"slug": "order-1042", "context": {"a": 1}})
    ]


@pytest.mark.parametrize(
    ("event", "sent"),
    [("pay", "pay"), ('{"type": "pay", "n": 1}', {"type": "pay", "n": 1}), ("[1]", "[1]")],
)
def test_an_event_is_json_if_it_begins_with_a_brace(
    server: CannedServer, run: Run, event: str, sent: Any
) -> None:
    """S44, F19."""
    assert run("instances", "send-event", *ORDER, *ACT, "-e", event).status == 0
    assert server.asked == [("POST /machines/checkout/i/order-1042/events", {"event": sent})]


def test_get_reads_as_an_administrator_or_as_a_user(server: CannedServer, run: Run) -> None:
    """F20, S38."""
    assert run("instances", "get", *ORDER).json == ADMIN
    assert run("instances", "get", *ORDER, "--public", *ACT).json == STATE


def test_a_list_is_one_array_whatever_the_number_of_its_pages(
    server: CannedServer, run: Run
) -> None:
    """W4."""
    row = {"slug": "a", "createdAt": INFO["createdAt"], "currentVersion": INFO}
    server.answers["GET /machines"] = {"machines": [row], "cursor": "next"}
    server.answers["GET /machines?cursor=next"] = {"machines": [row | {"slug": "b"}]}
    result = run("machines", "list")
    assert [machine["name"] for machine in result.json] == ["a", "b"]
    assert list(result.json[0]) == ["name", "createdAt", "currentVersion"]


def test_machines_get_is_what_callers_look_for(server: CannedServer, run: Run) -> None:
    """W1."""
    answer = run("machines", "get", "-m", "checkout").json
    assert answer["machine"]["currentVersion"]["id"] == answer["currentVersion"]["id"] == VERSION.id
    assert (answer["name"], answer["indexes"]) == ("checkout", [])


def test_the_alias_of_the_docs_works(server: CannedServer, run: Run) -> None:
    """C40, G3."""
    assert run("machine-instances", "get", *ORDER).json == ADMIN


def test_on_a_terminal_get_draws_the_instance(server: CannedServer, look: Run) -> None:
    result = look("instances", "get", *ORDER)
    assert result.stdout.startswith(
        "order-1042   checkout · ver_FsrMf_ba · running · seq 17 · changed 12 s ago\n\n● checkout\n"
    )
    assert result.stdout.endswith('private   approver  "u_81"\n')
    assert (result.status, result.stderr) == (0, "")


def test_on_a_terminal_send_event_says_what_changed(server: CannedServer, look: Run) -> None:
    result = look("instances", "send-event", *ORDER, *ACT, "-e", "fly")
    assert result.stdout.startswith("order-1042   no transition: payment takes approve, cancel")
    asked = [line for line, _ in server.asked]
    assert asked.index("POST /machines/checkout/i/order-1042/events") == 1


def test_empty_lists_say_what_would_fill_them(server: CannedServer, look: Run, run: Run) -> None:
    server.answers["GET /machines"] = {"machines": []}
    server.answers["GET /machines/checkout/i"] = {"instances": []}
    shown = look("machines", "list")
    assert (shown.status, shown.stdout) == (0, "")
    assert shown.stderr.startswith("no machines yet\nhint:  smply machines create ")
    assert look("instances", "list", "-m", "checkout").stderr.startswith(
        "checkout has no instances yet\nhint:  smply instances create -m checkout "
    )
    assert run("machines", "list").stdout == "[]\n"


def test_an_error_of_the_server_has_its_status_and_hint(server: CannedServer, run: Run) -> None:
    server.answers["GET /machines/checkout/i/order-1043/admin"] = error(
        404, "not-found", "checkout has no instance order-1043", "instanceSlug"
    )
    result = run("instances", "get", "-m", "checkout", "-i", "order-1043")
    assert (result.status, result.stdout) == (5, "")
    assert result.stderr == (
        "error: checkout has no instance order-1043\nhint:  smply instances list -m checkout\n"
    )


def test_a_refusal_of_the_machine_is_4(server: CannedServer, run: Run) -> None:
    """S100."""
    server.answers["POST /machines/checkout/i/order-1042/events"] = error(
        403, "rejected-by-machine-authorizer", "allowWrite of checkout refused"
    )
    result = run("instances", "send-event", *ORDER, *ACT, "-e", "pay", "--json")
    assert result.status == 4
    assert json.loads(result.stderr)["error"] == {
        "code": "rejected-by-machine-authorizer",
        "message": "allowWrite of checkout refused",
        "hint": "--auth-context sets what the machine sees",
    }


def test_an_interrupted_command_ends_with_130(
    server: CannedServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_connect, "open_client", interrupted)
    result = run("machines", "list")
    assert (result.status, result.stdout, result.stderr) == (130, "", "")


def test_a_closed_pipe_is_no_error(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["GET /machines"] = {"machines": []}
    monkeypatch.setattr("sys.stdout", GonePipe())
    assert main(["machines", "list"]) == 0
