"""The faults, unkept promises and expectations of `contract/cli.md`, each run against the command.

Every number stands for a test here, or in a table with the reason why it does not; `F2` is
`test_promise[F2]`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.main import get_command

from smply.cli import build_app
from smply.cli._argv import CommandRow, command_table
from smply.identity.scopes import SCOPES
from tests.acceptance.house import House, Server, until
from tests.acceptance.inside import Done, smply

MACHINE = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = ({ authContext }) => authContext.sub === "u_12";
export const allowWrite = ({ authContext }) => authContext.sub === "u_12";
export default createMachine({
  initial: "off", context: { public: { count: 0 }, secret: "s" },
  states: {
    off: { on: { turn: { target: "on", actions: () => console.log("turned") } } },
    on: { on: { turn: "off" } },
  },
});
"""
ACT = ["-a", '{"sub": "u_12"}']
MAPPING = ["-m", '{"sub.$": "$.sub"}']
NUMBERS = [
    *(f"F{number}" for number in range(1, 38)), *(f"G{number}" for number in range(1, 10)),
    *(f"W{number}" for number in range(1, 9)),
]  # fmt: skip

NOT_APPLY = {
    "F37": "a package that others import; ours is imported as `import smply`, which all tests do",
}


@dataclass(frozen=True)
class Scene:
    """A server with the machine `m` and its instance `one`, and a directory for a test."""

    path: Path
    server: Server
    key: dict[str, str]
    patch: pytest.MonkeyPatch

    @property
    def url(self) -> str:
        return str(self.server.told["url"])

    @property
    def token(self) -> str:
        return str(self.server.told["accessToken"])

    @property
    def org(self) -> str:
        return str(self.server.told["orgId"])

    def does(self, line: str, *more: str, stdin: str = "") -> Done:
        """Run a line that succeeds, in the profile of the server's owner unless it says."""
        done = smply(*shlex.split(line), *more, stdin=stdin)
        assert done.status == 0, (line, done.stderr)
        return done

    def refuses(self, status: int, line: str, *more: str, stdin: str = "") -> str:
        """Run a line that fails with this status, and prints nothing; returns what it says."""
        done = smply(*shlex.split(line), *more, stdin=stdin)
        assert (done.status, done.stdout) == (status, ""), (line, done.stderr)
        return done.stderr

    def user_token(self) -> str:
        claims = ["-c", '{"sub": "u_12"}', "--secret-stdin"]
        line = f"tokens generate -k {self.key['id']}"
        return self.does(line, *claims, stdin=self.key["key"]).stdout.strip()

    def write(self, name: str, text: str) -> str:
        (self.path / name).write_text(text)
        return str(self.path / name)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def nobody(self) -> None:
        """From here on there are no profiles and no credentials."""
        self.set(SMPLY_CONFIG_DIR=str(self.path / "empty"))


@dataclass(frozen=True)
class Stage:
    server: Server
    config: Path
    key: dict[str, str]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    here = tmp_path_factory.mktemp("promises")
    (here / "m.js").write_text(MACHINE)
    server = House(here).serve("--port", "0", "--log-requests", "--log-format", "json")
    config = here / "config"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SMPLY_CONFIG_DIR", str(config))
            patch.setenv("SMPLY_DATA_DIR", str(here / "own"))
            for line in (
                f"login --profile work --api-url {server.told['url']} --token-stdin",
                f"machines create -m m --js {here / 'm.js'}",
                f"instances create -m m -i one {shlex.join(ACT)}",
            ):
                done = smply(*shlex.split(line), stdin=server.told["accessToken"])
                assert done.status == 0, done.stderr
            key = smply("keys", "create", "-n", "users").json
        yield Stage(server, config, key)
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def scene(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("SMPLY_CONFIG_DIR", str(stage.config))
    monkeypatch.setenv("SMPLY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Scene(tmp_path, stage.server, stage.key, monkeypatch)


Check = Callable[[Scene], None]
CHECKS: dict[str, Check] = {}


def keeps(*numbers: str) -> Callable[[Check], Check]:
    """Name what a check shows."""

    def name(check: Check) -> Check:
        for number in numbers:
            assert number not in CHECKS, f"{number} is shown twice"
            CHECKS[number] = check
        return check

    return name


# Faults.


@keeps("F1")
def a_token_is_used_wherever_it_is_given(scene: Scene) -> None:
    scene.nobody()
    file = scene.write("token", f"{scene.token}\n")
    for given in (scene.token, f"@{file}", "@-"):
        line = f"whoami --api-url {scene.url} --access-token {given}"
        assert scene.does(line, stdin=scene.token).json["userId"]
    scene.set(SMPLY_ACCESS_TOKEN=scene.token, SMPLY_API_URL=scene.url)
    assert scene.does("whoami").json["userId"]


@keeps("F2")
def a_short_flag_that_collides_is_the_commands_own(scene: Scene) -> None:
    user = scene.user_token()
    scene.does(f"instances create -m m -i f2 -t {user}")
    scene.does(f"instances send-event -m m -i f2 -e turn -t {user}")
    early = ["-f", "2020-01-01", "-t", "1h", "--jq", ".logs"]
    assert scene.does("logs get", *early).json == []
    made = scene.does("keys create -n f2 -u ci").json["id"]
    found = next(key for key in scene.does("keys list").json if key["id"] == made)
    assert "machine-versions.write" in found["scopes"]
    pool = scene.does("identity-providers upsert-cognito -u pool -r eu-west-1", *MAPPING).json
    assert pool["iss"].endswith("/pool")
    scene.does(f"invitations send -o {scene.org} -e f2@example.com")
    scene.does(f"orgs default set -o {scene.org}")
    # What is not built is refused for that, and not for a flag that has gone elsewhere.
    for line in (
        "migrations create -m m -f ver_1 -t ver_2 -j m.js", "logs watch -f -1h -t 1h",
        "instances query -m m -i count -o eq -v 1",
    ):  # fmt: skip
        assert "is not built yet" in scene.refuses(1, line)
    # Before the command they are the global ones.
    scene.nobody()
    here = f"-u {scene.url} -o {scene.org}"
    scene.does(f"{here} -t {scene.token} instances send-event -m m -i f2 -e turn", *ACT)
    scene.does(f"machines list {here} -t {scene.token}")


@keeps("F3")
def no_store_writes_nothing_and_prints_the_token_alone(scene: Scene) -> None:
    scene.nobody()
    line = f"login --no-store --token-stdin --api-url {scene.url}"
    done = scene.does(line, stdin=scene.token)
    assert done.stdout == f"{scene.token}\n"
    assert list(scene.path.iterdir()) == []


@keeps("F4")
def a_token_alone_creates_sends_and_reads(scene: Scene) -> None:
    user = scene.user_token()
    scene.nobody()
    where = f"-m m -i f4 --token {user} --api-url {scene.url}"
    assert scene.does(f"instances create {where}").json["state"] == "off"
    assert scene.does(f"instances send-event {where} -e turn").json["state"] == "on"
    assert scene.does(f"instances get {where} --public").json["state"] == "on"


@keeps("F5")
def a_wrong_credential_fails_and_is_not_kept(scene: Scene) -> None:
    scene.nobody()
    wrong = scene.token[:-4] + "AAAA"
    scene.refuses(4, f"login --api-url {scene.url} --token-stdin", stdin=wrong)
    assert list(scene.path.iterdir()) == []


DESTROYING = {
    "machines delete": "-m m", "instances delete": "-m m -i one",
    "instances set-status": "-m m -i one -s paused", "keys delete": "-k KEY",
    "tokens delete": "--token tok_FsrMf_baSJG53SBNSUszzw",
    "members remove": "--user usr_FsrMf_baSJG53SBNSUszzw",
    "invitations revoke": "--invitation inv_FsrMf_baSJG53SBNSUszzw",
    "identity-providers delete": "-a f6 -i f6", "token-providers delete": "-s f6",
    "profile delete": "work",
}  # fmt: skip
"""Every command that destroys, or stops, what somebody needs."""


@keeps("F6")
def what_is_not_confirmed_is_3_and_a_conflict_6(scene: Scene) -> None:
    scene.does("identity-providers upsert -a f6 -i f6 -l HS256 -k secret", *MAPPING)
    scene.does(f"token-providers upsert -s f6 -k {scene.key['id']}", *MAPPING)
    before = _everything(scene)
    for name, options in DESTROYING.items():
        line = f"{name} {options}".replace("KEY", scene.key["id"])
        for answer in ("", "no\n"):
            assert "nothing was done" in scene.refuses(3, line, stdin=answer)
    assert _everything(scene) == before
    assert "instances" in scene.refuses(6, "machines delete -m m --yes")


def _everything(scene: Scene) -> list[Any]:
    lists = (
        "machines list", "instances list -m m", "keys list", "tokens list", "members list",
        "invitations list", "identity-providers list", "token-providers list", "profile list",
    )  # fmt: skip
    return [scene.does(line).json for line in lists]


@keeps("F7")
def secrets_come_from_a_file_stdin_or_the_environment(scene: Scene) -> None:
    secret, file = scene.key["key"], scene.write("secret", f"{scene.key['key']}\n")
    line = f"tokens generate -k {scene.key['id']} -c '{{}}'"
    told = [
        scene.does(f"{line} --secret @{file}"), scene.does(f"{line} -s @-", stdin=secret),
        scene.does(f"{line} --secret-stdin", stdin=secret),
    ]  # fmt: skip
    scene.set(SMPLY_SECRET_KEY=secret)
    told.append(scene.does(line))
    for token in told:
        where = f"--api-url {scene.url} --access-token {token.stdout.strip()}"
        assert scene.does(f"whoami {where}").json["keyId"] == scene.key["id"]
    scene.patch.delenv("SMPLY_SECRET_KEY")
    scene.does(f"identity-providers upsert -i f7 -l HS256 -k @{file}", *MAPPING)
    scene.does("identity-providers upsert -i f7 -l HS256 -b @-", *MAPPING, stdin="c2VjcmV0\n")
    supabase = "identity-providers upsert-supabase -p f7"
    scene.does(f"{supabase} --secret @{file}", *MAPPING)
    scene.does(f"{supabase} --secret-stdin", *MAPPING, stdin=secret)


@keeps("F8", "W2")
def a_new_version_is_json_alone(scene: Scene) -> None:
    bundle = scene.write("m.js", MACHINE)
    done = scene.does(f"machine-versions create -m m -r f8 --js {bundle}")
    assert list(done.json) == ["machineVersionId"]
    scene.does("instances create -m m -i f8", *ACT)
    deleted = scene.does("instances delete -m m -i f8", stdin="f8\n")
    assert deleted.json == {"name": "f8", "deleted": True}
    assert "will be deleted for ever" in deleted.stderr


@keeps("F9")
def credentials_are_in_the_platforms_folder_and_for_nobody_else(scene: Scene) -> None:
    for name in ("HOME", "SMPLY_CONFIG_DIR"):
        scene.patch.delenv(name)
    scene.set(XDG_CONFIG_HOME=str(scene.path / "xdg"), SMPLY_DATA_DIR=str(scene.path / "data"))
    here = scene.path / "here"
    here.mkdir()
    scene.patch.chdir(here)
    scene.does(f"login --api-url {scene.url} --token-stdin", stdin=scene.token)
    assert list(here.iterdir()) == []
    (file,) = (scene.path / "xdg").rglob("default.json")
    assert scene.token in file.read_text()
    file.chmod(0o644)
    file.parent.chmod(0o755)
    scene.does("whoami")
    assert _mode(file) == 0o600
    scene.does(f"login --api-url {scene.url} --token-stdin", stdin=scene.token)
    assert (_mode(file), _mode(file.parent)) == (0o600, 0o700)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@keeps("F10")
def scopes_in_either_spelling_all_of_them_and_alone(scene: Scene) -> None:
    every = sorted(SCOPES)
    spellings = {
        "commas": ["--scopes", ",".join(every)], "words": ["-s", *every],
        "again": [word for scope in every for word in ("--scopes", scope)],
        "joined": [f"--scopes={','.join(every)}"],
    }  # fmt: skip
    for name, words in spellings.items():
        scene.does(f"keys create -n f10-{name}", *words)
    scene.does("keys create -n f10-one -s logs.read")
    found = {key["name"]: key["scopes"] for key in scene.does("keys list").json}
    assert [sorted(found[f"f10-{name}"]) for name in spellings] == [every] * 4
    assert found["f10-one"] == ["logs.read"]
    scene.refuses(2, "keys create -n f10 -s")


@keeps("F11")
def yes_may_be_said_in_advance_or_piped_in(scene: Scene) -> None:
    for how in (["--yes"], []):
        scene.does("instances create -m m -i f11", *ACT)
        scene.does("instances delete -m m -i f11", *how, stdin="" if how else "f11\n")
    for answer in ("y\n", "issuer\n"):
        scene.does("identity-providers upsert -i issuer -l HS256 -k secret", *MAPPING)
        scene.does("identity-providers delete -i issuer", stdin=answer)
    # Nobody is there to be asked: it does not wait.
    begun = time.monotonic()
    assert "there was no answer" in scene.refuses(3, "machines delete -m m")
    assert time.monotonic() - begun < 5


@keeps("F12")
def a_machine_whose_code_fails_is_not_made(scene: Scene) -> None:
    broken = scene.write("broken.ts", "export default nothing here")
    assert "broken.ts" in scene.refuses(1, f"machines create -m f12 --node {broken}")
    scene.refuses(5, "machines get -m f12")


@keeps("F13", "G8")
def indexes_are_refused(scene: Scene) -> None:
    bundle = scene.write("m.js", MACHINE)
    for line in (
        f"machines create -m f13 --js {bundle} -i a b",
        "machines create -m f13 --index a",
        f'machine-versions create -m m -r f13 --js {bundle} -d \'{{"a": "$.a"}}\'',
    ):
        assert "indexes are not supported yet" in scene.refuses(1, line)
    scene.refuses(5, "machines get -m f13")


@keeps("F14")
def json_is_an_object_and_what_is_not_names_its_option(scene: Scene) -> None:
    lines = {
        "machines create -m f14 -d": None, "token-providers upsert -s a -k KEY -m": "--mapping",
        "identity-providers upsert -i a -l HS256 -k k -m": "--mapping",
        "instances create -m m -i f14 -a": "--auth-context",
        f"instances create -m m -i f14 {shlex.join(ACT)} -c": "--context",
        "tokens generate -k KEY -s s -c": "--claims",
    }  # fmt: skip
    for line, option in lines.items():
        for value in ('["$.a"]', "[", '{"a": }'):
            said = scene.refuses(2 if option else 1, line.replace("KEY", scene.key["id"]), value)
            assert (option or "indexes are not supported yet") in said


@keeps("F15")
def a_new_machine_tells_its_version_both_ways(scene: Scene) -> None:
    bundle = scene.write("m.js", MACHINE)
    current = scene.does(f"machines create -m f15 --js {bundle}").json["currentVersion"]
    assert current["machineVersionId"] == current["id"]
    assert current["clientInfo"] == "0.0.1"


@keeps("F16", "F17")
def migrations_are_not_built_and_sizes_are_checked_first(scene: Scene) -> None:
    said = scene.refuses(1, "migrations create -m m --from ver_1 --to ver_2 --js m.js")
    assert said.startswith("error: smply migrations is not built yet")
    large = scene.write("large.js", f"{MACHINE}// {'x' * 10_000_000}")
    asked = _asked(scene)
    said = scene.refuses(1, f"machines create -m f16 --js {large} --skip-validation")
    assert "a bundle has at most 10 MB" in said
    assert _asked(scene) == asked


def _asked(scene: Scene) -> list[tuple[str, str]]:
    """What the server was asked so far."""
    lines = [json.loads(line) for line in scene.server.log.read_text().splitlines()]
    return [(line["method"], line["path"]) for line in lines if line["event"] == "request"]


@keeps("F18")
def queries_are_refused(scene: Scene) -> None:
    for group in ("instances", "machine-instances"):
        said = scene.refuses(1, f'{group} query -m m -i count --op eq --value ""')
        assert f"smply {group} query is not built yet" in said


@keeps("F19")
def broken_json_is_no_event(scene: Scene) -> None:
    for event in ("{turn", '{"type": ', " {", '{"by": 1}'):
        assert "--event" in scene.refuses(2, "instances send-event -m m -i one", *ACT, "-e", event)


@keeps("F20")
def an_instance_is_read_as_an_administrator_or_as_a_user(scene: Scene) -> None:
    everything = scene.does("instances get -m m -i one").json
    assert everything["context"]["secret"] == "s"
    for how in (ACT, ["-t", scene.user_token()]):
        public = scene.does("instances get -m m -i one --public", *how).json
        assert public["publicContext"] == everything["context"]["public"]
        assert "context" not in public
    stranger = ["-a", '{"sub": "u_13"}']
    scene.refuses(4, "instances get -m m -i one --public", *stranger)


@keeps("F21")
def logs_are_not_watched_yet(scene: Scene) -> None:
    said = scene.refuses(1, "logs watch --from -1h --to 2h --clean")
    assert said.startswith("error: smply logs watch is not built yet")


@keeps("F22")
def a_bundle_is_checked_as_the_server_loads_it(scene: Scene) -> None:
    bundle = scene.write("m.js", MACHINE)
    assert scene.does(f"machine-versions validate-bundle --js {bundle}").stdout == "Valid bundle\n"
    assert scene.does(f"machines create -m f22 --node {bundle}").json["currentVersion"]
    wrong = scene.write("wrong.js", MACHINE.replace("export const allowWrite", "const allowWrite"))
    said = scene.refuses(1, f"machine-versions validate-bundle --js {wrong}")
    assert "allowWrite" in said


@keeps("F23")
def a_bundle_is_checked_in_the_sandbox_whatever_its_name(scene: Scene) -> None:
    touch = """
      try { (await import("node:fs")).writeFileSync("touched", "x"); } catch {}
      try { Deno.writeTextFileSync("touched", "x"); } catch {}
    """
    bundle = scene.write('it\'s "odd"\\.js', touch + MACHINE)
    smply("machine-versions", "validate-bundle", "--js", bundle)
    plain = scene.write('it\'s "odd"\\2.js', MACHINE)
    scene.does("machine-versions validate-bundle --js", plain)
    assert not (scene.path / "touched").exists()


@keeps("F24")
def the_version_is_that_of_the_package(scene: Scene) -> None:
    for line in ("--version", "-V", "--smply-version", "machines list -V", "-V machines list"):
        assert scene.does(line).stdout == f"{version('smply')}\n"


@keeps("F25")
def an_org_may_be_chosen_before_the_first_login(scene: Scene) -> None:
    scene.nobody()
    scene.does(f"orgs default set --org {scene.org}")
    assert scene.does("orgs default get").stdout == f"{scene.org}\n"
    with (scene.path / "data" / "default-org").open("a") as file:
        file.write("\n")
    assert scene.does("orgs default get").stdout == f"{scene.org}\n"
    scene.does("profile set other --url http://127.0.0.1:1")
    scene.does(f"orgs default set --org {scene.org} --profile other")
    assert scene.does("orgs default get --profile other").stdout == f"{scene.org}\n"


@keeps("F26")
def whoami_is_whose_token_is_given(scene: Scene) -> None:
    """There is no session to be refreshed: a token is one's own until it is deleted."""
    mine = scene.does("whoami").json
    token = scene.does("tokens create -n f26").json
    assert scene.does("whoami", "--access-token", token["accessToken"]).json == mine
    signed = scene.does("whoami", "--access-token", scene.user_token()).json
    assert (signed["userId"], signed["keyId"]) == (None, scene.key["id"])


@keeps("F27")
def an_invitation_is_accepted_where_it_is(scene: Scene) -> None:
    code = scene.does("invitations send -e f27@example.com").json["invitation"]
    scene.nobody()
    scene.does(f"invitations accept -i @- --api-url {scene.url}", stdin=code)
    way, path = _asked(scene)[-1]
    assert (way, path.rpartition("/")[0]) == ("PUT", "/invitations")


@keeps("F28")
def any_server_can_be_signed_in_to(scene: Scene) -> None:
    scene.nobody()
    scene.does(f"--api-url {scene.url} login --token-stdin --profile f28", stdin=scene.token)
    who = scene.does("whoami").json
    assert (who["profile"], who["url"], who["defaultOrg"]) == ("f28", scene.url, scene.org)


@keeps("F29")
def the_audience_of_a_provider_may_be_said(scene: Scene) -> None:
    auth0 = "identity-providers upsert-auth0 -d"
    assert scene.does(f"{auth0} f29.auth0.com -a api", *MAPPING).json["aud"] == "api"
    assert scene.does(f"{auth0} https://f29.auth0.com/", *MAPPING).json == {
        "aud": "https://f29.auth0.com/api/v2/", "iss": "https://f29.auth0.com/",
        "algs": ["RS256"], "jwksUrl": "https://f29.auth0.com/.well-known/jwks.json",
        "mapping": {"sub.$": "$.sub"},
    }  # fmt: skip
    assert "is not of https" in scene.refuses(2, f"{auth0} http://f29.auth0.com", *MAPPING)
    cognito = "identity-providers upsert-cognito --user-pool-id f29 --region eu-west-1"
    assert scene.does(f"{cognito} --audience app", *MAPPING).json["aud"] == "app"
    assert "aud" not in scene.does(cognito, *MAPPING).json


@keeps("F30")
def issuer_and_lifetime_of_a_token_may_be_said(scene: Scene) -> None:
    import jwt

    line = f"tokens generate -k {scene.key['id']} --secret-stdin -c"
    more = ["--issuer", "me", "--expires-in", "15m"]
    token = scene.does(line, '{"sub": "a"}', *more, stdin=scene.key["key"]).stdout.strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["exp"] - claims["iat"]) == ("me", 900)
    assert claims["act"] == {"sub": "a"}
    for wrong in ("[]", '"a"', "null", "{"):
        assert "--claims" in scene.refuses(2, line, wrong, stdin=scene.key["key"])
    short = f"tokens generate -k {scene.key['id']} -s short -c"
    assert "is too short to be one" in scene.refuses(2, short, "{}")


@keeps("F31")
def one_rule_for_all_that_destroys(scene: Scene) -> None:
    """What it is that destroys is read from the names of the commands, so that none is left out."""
    table = command_table(get_command(build_app()))
    named = {
        " ".join(words)
        for words in _leaves(table)
        if words[-1] in ("delete", "remove", "revoke", "purge", "drop", "reset", "rotate")
    }
    assert named == DESTROYING.keys() - {"instances set-status"}
    for name in named:
        assert re.search(r"\basks\b", scene.does(f"{name} --help").stdout.lower())


def _leaves(row: CommandRow, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not row.commands:
        yield words
    hidden = {"versions", "machine-instances"}
    for name, below in row.commands.items():
        if name not in hidden:
            yield from _leaves(below, (*words, name))


@keeps("F32")
def signing_out_leaves_no_credential(scene: Scene) -> None:
    scene.nobody()
    scene.does(f"login --api-url {scene.url} --token-stdin", stdin=scene.token)
    scene.does("logout")
    files = [file for file in scene.path.rglob("*") if file.is_file()]
    assert not [file for file in files if scene.token in file.read_text()]
    scene.refuses(4, "whoami")
    scene.refuses(4, "logout")


@keeps("F33")
def what_is_no_name_is_refused_and_what_may_be_anything_is_escaped(scene: Scene) -> None:
    asked = _asked(scene)
    for line in (
        "machines get -m ../keys", "machines get -m a/b", "instances get -m m -i ..",
        "instances list -m m%2f", "keys delete -k ../orgs", "keys delete -k sbk_../../../../../or",
        "members remove --user a/b", "invitations revoke --invitation ..", "tokens delete -t x",
        "machines set-current -m m -v ver_/../x",
    ):  # fmt: skip
        assert "is no " in scene.refuses(2, line)
    assert _asked(scene) == asked
    for service in ("a/b", "../keys", "a?b#c", "ü %2f", ".", ".."):
        line = f"token-providers upsert -k {scene.key['id']} -s"
        assert "a service has" in scene.refuses(1, line, service, *MAPPING)
        slash = "/" in service
        said = scene.refuses(1 if slash else 5, "token-providers delete --yes -s", service)
        assert ("an escaped slash" if slash else f"of the service {service}\n") in said
    assert "an escaped slash" in scene.refuses(1, "invitations accept -i ../orgs")
    assert "no such invitation" in scene.refuses(5, "invitations accept -i ..")


@keeps("F34")
def an_error_says_what_was_missing_and_what_to_do(scene: Scene) -> None:
    for line, missing, hint in (
        ("machines get -m f34", "f34", "smply machines list"),
        ("instances get -m m -i f34", "f34", "smply instances list -m m"),
        ("keys delete -k sbk_FsrMf_baSJG53SBNSUszzw --yes", "sbk_", "smply keys list"),
    ):
        said = scene.refuses(5, line)
        assert missing in said.partition("\n")[0]
        assert f"hint:  {hint}" in said
        error = json.loads(scene.refuses(5, f"{line} --json"))
        assert {"error", "code", "requestId"} <= error.get("error", error).keys() | error.keys()


@keeps("F35")
def a_build_machine_signs_in_with_a_key(scene: Scene) -> None:
    key = scene.does("keys create -n f35 --use ci").json
    bundle = scene.write("m.js", MACHINE)
    scene.nobody()
    scene.set(SMPLY_API_URL=scene.url, SMPLY_KEY_ID=key["id"], SMPLY_SECRET_KEY=key["key"])
    assert scene.does(f"machine-versions create -m m -r f35 --js {bundle}").json
    scene.refuses(4, "keys list")
    line = f"login --key-id {key['id']} --secret-stdin"
    for name in ("SMPLY_KEY_ID", "SMPLY_SECRET_KEY"):
        scene.patch.delenv(name)
    scene.does(line, stdin=key["key"])
    assert scene.does("machines get -m m").json["name"] == "m"


@keeps("F36")
def answers_have_many_forms(scene: Scene) -> None:
    line = "machines list --output"
    assert scene.does("machines list").json == scene.does(f"{line} json").json
    assert scene.does(f"{line} jsonl").stdout.count("\n") == len(scene.does("machines list").json)
    assert re.search(r"^- name: m$", scene.does(f"{line} yaml").stdout, re.MULTILINE)
    assert scene.does(f"{line} table").stdout.split()[0] == "NAME"
    assert "m" in scene.does("machines list --quiet").stdout.splitlines()
    assert scene.does("instances get -m m -i one --output tree").stdout.startswith("one")
    assert scene.does("machines get -m m --fields name").json == {"name": "m"}


# Promises of the docs.


@keeps("G1")
def a_file_for_deno(scene: Scene) -> None:
    source = scene.write("m.ts", MACHINE)
    scene.does(f"machines create -m g1 --deno {source}")
    scene.does(f"machine-versions create -m g1 -r 1 --deno {source}")


@keeps("G2")
def a_file_that_is_a_bundle(scene: Scene) -> None:
    bundle = scene.write("m.js", MACHINE)
    scene.does(f"machines create -m g2 --file {bundle}")
    scene.does(f"machine-versions create -m g2 -r 1 --file {bundle}")


@keeps("G3")
def machine_instances_is_another_name(scene: Scene) -> None:
    scene.does("machine-instances create -m m -i g3", *ACT)
    sent = scene.does("machine-instances send-event -m m -i g3 -e turn", *ACT)
    assert sent.json["state"] == "on"


@keeps("G4")
def cognito_as_the_docs_set_it_up(scene: Scene) -> None:
    line = "identity-providers upsert-auth0 --user-pool-id g4 --region eu-west-1"
    pool = scene.does(line, *MAPPING).json
    assert pool["iss"] == "https://cognito-idp.eu-west-1.amazonaws.com/g4"


@keeps("G5", "G6")
def who_is_in_no_org_is_helped_to_one(scene: Scene) -> None:
    code = scene.does("invitations send -e g5@example.com -r read").json["invitation"]
    line = f"invitations accept -i {code} --api-url {scene.url}"
    config = os.environ["SMPLY_CONFIG_DIR"]
    scene.nobody()
    welcome = scene.does(line).json
    scene.set(SMPLY_CONFIG_DIR=config)
    user = welcome["userId"]
    scene.does(f"members set-role --user {user} --role write")
    roles = {each["userId"]: each["role"] for each in scene.does("members list").json}
    assert roles[user] == "write"
    scene.does(f"members remove --user {user}", stdin=f"{user}\n")
    assert user not in {each["userId"] for each in scene.does("members list").json}
    scene.nobody()
    done = scene.does(f"login --api-url {scene.url} --token-stdin", stdin=welcome["accessToken"])
    assert "you are in no org yet: smply orgs create --name NAME" in done.stderr
    made = scene.does("orgs create --name g5").json["orgId"]
    assert [each["id"] for each in scene.does("orgs list").json] == [made]


@keeps("G7")
def logs_are_an_array_of_objects(scene: Scene) -> None:
    scene.does("instances create -m m -i g7", *ACT)
    for _ in range(3):
        scene.does("instances send-event -m m -i g7 -e turn", *ACT)
    line = "logs get --from -1h --machine m --instance g7"
    lines = until(lambda: len(found := scene.does(line).json["logs"]) > 1 and found)
    assert [each["log"].strip() for each in lines] == ["turned", "turned"]
    assert {each["instanceName"] for each in lines} == {"g7"}
    each = [json.loads(text) for text in scene.does(f"{line} --output jsonl").stdout.splitlines()]
    assert each == lines
    assert scene.does(f"{line} --clean").stdout.splitlines()[2:] == ["stdout", "", *["turned"] * 2]


@keeps("G9")
def what_has_no_command_can_be_asked_for(scene: Scene) -> None:
    """The public read is F20; queries are not built (F18), nor is `/rt` a request of this kind."""
    org = scene.does("orgs create --name g9 --no-anonymous-access").json["orgId"]
    assert scene.does(f"identity-providers list --org {org}").json == []
    body = '{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}'
    assert scene.refuses(1, "api POST /tokens --data", body) != ""
    page = scene.does("api GET '/machines?limit=1'").json
    assert len(page["machines"]) == 1
    assert scene.does("api GET '/machines?limit=1' --paginate --jq '.machines | length'").json > 1


# Callers that parse the output.


@keeps("W1")
def a_machine_has_its_version_at_the_top(scene: Scene) -> None:
    found = scene.does("machines get -m m").json
    assert found["currentVersion"]["id"] == found["machine"]["currentVersion"]["id"]
    assert {"machine", "name", "createdAt", "currentVersion", "indexes"} <= found.keys()


@keeps("W3")
def a_new_key_is_json_with_and_without_its_first_line(scene: Scene) -> None:
    done = scene.does("keys create -n w3")
    first, _, rest = done.stdout.partition("\n")
    assert first == ""
    assert done.json == json.loads(rest)
    assert {"id", "key"} <= done.json.keys()
    assert "told this once" in done.stderr


@keeps("W4")
def a_list_is_one_array_whatever_its_pages(scene: Scene) -> None:
    with scene.server.http(timeout=30) as http:
        http.headers["x-statebacked-org-id"] = scene.org
        for number in range(101):
            body = {"service": f"w4-{number}", "keyId": scene.key["id"], "mapping": {"a": "b"}}
            _ok(http.post("/token-providers", json=body))
            _ok(http.post("/orgs", json={"name": f"w4-{number}"}))
    providers = scene.does("token-providers list").json
    assert {each["service"] for each in providers} >= {f"w4-{number}" for number in range(101)}
    assert len(scene.does("orgs list").json) > 101


def _ok(answer: httpx.Response) -> None:
    assert answer.is_success, answer.text


@keeps("W5")
def a_token_provider_has_its_name(scene: Scene) -> None:
    scene.does(f"token-providers upsert -s w5 -k {scene.key['id']}", *MAPPING)
    providers = scene.does("token-providers list").json
    assert "w5" in {each["name"] for each in providers}
    assert all(each["name"] == each["service"] for each in providers)


@keeps("W6")
def no_default_org_is_no_error(scene: Scene) -> None:
    scene.nobody()
    assert not scene.does("orgs default get").stdout.startswith("org_")
    scene.does(f"orgs default set --org {scene.org}")
    assert scene.does("orgs default get").stdout.startswith("org_")


@keeps("W7")
def a_new_org_is_json_and_whoami_says_whether_one_is_signed_in(scene: Scene) -> None:
    assert scene.does("orgs create --name w7").json["orgId"].startswith("org_")
    assert {"email", "userId", "defaultOrg"} <= scene.does("whoami").json.keys()
    scene.nobody()
    scene.refuses(4, f"whoami --api-url {scene.url}")
    scene.refuses(4, f"whoami --api-url {scene.url} --access-token {scene.token[:-4]}AAAA")


@keeps("W8")
def a_machine_is_made_from_another_folder(scene: Scene) -> None:
    (scene.path / "elsewhere").mkdir()
    source = scene.write("elsewhere/m.ts", MACHINE)
    done = subprocess.run(
        [sys.executable, "-m", "smply", "machines", "create", "--machine", "w8", "--node", source],
        cwd=scene.path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["currentVersion"]["clientInfo"] == "0.0.1"


def test_no_number_is_left_out() -> None:
    assert [number for number in NUMBERS if number in CHECKS or number in NOT_APPLY] == NUMBERS
    assert not CHECKS.keys() & NOT_APPLY.keys()


@pytest.mark.parametrize("number", [number for number in NUMBERS if number in CHECKS])
def test_promise(number: str, scene: Scene) -> None:
    CHECKS[number](scene)
