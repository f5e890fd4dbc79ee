"""Signing in on a real terminal: what is asked, what is not shown, and how one leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.session import Session
from tests.acceptance.transcript import Stage, plain, run_here

ADDRESS = "The address of the server: "
TOKEN = "Access token (of smply tokens create, not shown): "
ORG = "Create one? [y/N] "
NAME = "Its name: "
WHERE = "Signing in to http://127.0.0.1:PORT, as profile default\n"
NEXT = "\nNext       smply whoami\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("server")) as stage:
        stage.serve()
        yield stage


@pytest.fixture
def orphan(server: Stage) -> str:
    """The access token of a person without an org."""
    asked = ["--api-url", server.address, "--access-token", server.known("sbat_owner"), "--jq"]
    code = told(server, "invitations", "send", "-e", "a@example.com", *asked, ".invitation")
    accept = ["invitations", "accept", "-i", code, "--api-url", server.address]
    user, token = told(server, *accept, "--jq", ".userId, .accessToken").split()
    told(server, "members", "remove", "--user", user, "--yes", *asked, ".")
    return token


def told(stage: Stage, *argv: str) -> str:
    done = run_here(stage, ["smply", *argv], None)
    assert done.status == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def stage(server: Stage, tmp_path: Path) -> Stage:
    """Somebody who has never signed in."""
    stage = Stage(tmp_path)
    stage.names.update(server.names)
    stage.address = server.address
    return stage


@pytest.fixture
def asked(stage: Stage) -> Iterator[Session]:
    """Somebody who is asked for the address of a server."""
    session = Session(stage, ["smply", "login"])
    session.read_until(ADDRESS)
    session.wait_until_it_reads()
    yield session
    session.close()


def stored(stage: Stage) -> list[str]:
    return sorted(path.name for path in (stage.path / ".config").rglob("*.json"))


def test_the_address_and_the_token_are_asked_for(stage: Stage, asked: Session) -> None:
    """F28; a token that is typed is not shown."""
    asked.type_on(f"{stage.address}\n", TOKEN)
    assert asked.type(f"{stage.known('sbat_owner')}\n") == 0
    assert stage.hide(plain(asked.screen)) == (
        f"{ADDRESS}http://127.0.0.1:PORT\n{WHERE}{TOKEN}\n"
        "signed in   usr_1\nserver      http://127.0.0.1:PORT\norg         org_1\n"
        f"profile     default, in use\n{NEXT}"
    )
    assert stored(stage) == ["default.json"]


@pytest.mark.parametrize(("keys", "status", "left"), [("\x03", 130, "^C\n"), ("\x04", 3, "\n")])
def test_one_leaves_at_the_address(
    stage: Stage, asked: Session, keys: str, status: int, left: str
) -> None:
    """F6."""
    assert asked.type(keys) == status
    assert asked.screen.startswith(f"{ADDRESS}{left}")
    assert stored(stage) == []


@pytest.mark.parametrize(("keys", "status"), [("\x03", 130), ("\x04", 3), ("\n", 3)])
def test_one_leaves_at_the_token(stage: Stage, asked: Session, keys: str, status: int) -> None:
    """F6."""
    asked.type_on(f"{stage.address}\n", TOKEN)
    assert asked.type(keys) == status
    left = "" if status == 130 else "error: there was no token; nothing was done\n"
    hint = "" if status == 130 else "hint:  smply login --help\n"
    asked_for = f"{ADDRESS}http://127.0.0.1:PORT\n{WHERE}{TOKEN}\n"
    assert stage.hide(plain(asked.screen)) == f"{asked_for}{left}{hint}"
    assert stored(stage) == []


def test_a_token_that_is_refused_stores_nothing(stage: Stage, asked: Session) -> None:
    asked.type_on(f"{stage.address}\n", TOKEN)
    assert asked.type("nonsense\n") == 4
    assert "nonsense" not in asked.screen
    assert stored(stage) == []


def test_the_secret_of_a_key_is_asked_for(stage: Stage) -> None:
    """It is not shown, as a token is not."""
    owner = ["--api-url", stage.address, "--access-token", stage.known("sbat_owner")]
    made = told(stage, "keys", "create", "--name", "k", "--use", "ci", *owner, "--jq", ".id, .key")
    key, secret = made.split()
    session = Session(stage, ["smply", "login", "--api-url", stage.address, "--key-id", key])
    session.read_until(f"as profile default\nThe secret of {key} (not shown): ")
    session.wait_until_it_reads()
    assert session.type(f"{secret}\n") == 0
    session.close()
    assert secret not in session.screen
    assert told(stage, "whoami", "--quiet") == key


@pytest.fixture
def alone(stage: Stage, asked: Session, orphan: str) -> Session:
    """Somebody without an org, who is asked for the name of one."""
    asked.type_on(f"{stage.address}\n", TOKEN)
    asked.type_on(f"{orphan}\n", ORG)
    return asked


def test_a_person_without_an_org_is_helped_to_one(stage: Stage, alone: Session) -> None:
    """G5."""
    alone.type_on("y\n", NAME)
    assert alone.type("acme\n") == 0
    screen = stage.hide(plain(alone.screen)).partition(f"{TOKEN}\n")[2]
    assert screen == (
        f"You are in no org yet.\n{ORG}y\n{NAME}acme\nCreated    acme, org_1\n"
        "signed in   usr_1\nserver      http://127.0.0.1:PORT\norg         org_1\n"
        f"profile     default, in use\n{NEXT}"
    )
    assert "acme" in told(stage, "orgs", "list", "--jq", ".[].name").split()


@pytest.mark.parametrize("answer", ["\n", "n\n", "acme\n"])
def test_an_org_can_wait(stage: Stage, alone: Session, answer: str) -> None:
    """G5; what needs one says how there comes to be one."""
    assert alone.type(answer) == 0
    assert "remark: there is still none: smply orgs create --name NAME\n" in plain(alone.screen)
    assert stored(stage) == ["default.json"]
    done = run_here(stage, ["smply", "keys", "list"], None)
    assert done.stderr == (
        "error: you are a member of no org\n"
        "hint:  smply orgs create --name NAME, or an invitation to one\n"
    )


@pytest.mark.parametrize(("keys", "status"), [("\x03", 130), ("\x04", 3)])
def test_one_leaves_at_the_org(stage: Stage, alone: Session, keys: str, status: int) -> None:
    """F6."""
    assert alone.type(keys) == status
    assert stored(stage) == []
