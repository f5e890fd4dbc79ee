"""The npm tool `smply` beside ours: the same words to the same server, command by command.

npm has 0.1.18 at most; `contract/cli.md` is of the source of 0.1.21, which has `instances query`
and the options of indexes as well. Its modules do not load with the TypeScript that npm would
choose now, so that package.json holds that one back. It signs in with the session that it finds
in its file, as long as that has not expired.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from smply.cli._times import moment
from smply.errors import UsageError
from tests.acceptance.house import House, until
from tests.acceptance.inside import Done, smply
from tests.cli.npm_tool import COMMANDS, NOT_BUILT
from tests.npm.conftest import NODE

SOURCE = """
import { assign, createMachine } from "xstate";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  initial: "off", context: { public: { count: 0 } },
  states: {
    off: { on: { turn: { target: "on", actions: [
      assign({ public: ({ context }) => ({ count: context.public.count + 1 }) }),
      () => console.log("turned"),
    ] } } },
    on: { on: { turn: "off" } },
  },
});
"""
SECONDS = 60
NO_SESSION = "Could not find credentials"
UNDEFINED = "is not valid JSON"
AUTH = """-a '{"sub": "u_12"}'"""
MAPPING = """-m '{"sub.$": "$.sub"}'"""


@dataclass(frozen=True)
class Step:
    """One line for both tools; words in capitals are each tool's own (`KEY`, `MACHINE`).

    `sought` is what a caller looks for where the npm tool prints a text, `more` what ours needs
    beside. `refused`: ours does not do it, nor does the npm tool unless `theirs`, its exit status,
    says so. Where a `fault` is in its way, `seen` is what it says then; None where it cannot even
    be tried.
    """

    line: str
    stdin: str = ""
    sought: str = ""
    more: str = ""
    refused: bool = False
    theirs: int = 0
    fault: str = ""
    seen: str | None = ""
    before: str = "--api-url URL --org ORG"

    @property
    def name(self) -> str:
        line = " ".join(self.line.split())
        return f"{self.fault}: {line}" if self.fault else line

    @property
    def compared(self) -> bool:
        """Whether both have an answer."""
        return not self.refused and self.seen == ""


MACHINES = [
    Step("machines create -m EMPTY"),
    Step("machines create -m EMPTY", refused=True),
    Step("machines create -m MACHINE --node SOURCE -r 1.0"),
    Step("machines create --machine=a.b", refused=True),
    Step("machines list"),
    Step("machines get --machine MACHINE"),
    Step("machines get -m nowhere", refused=True),
    Step("machines get", refused=True),
    Step("machine-versions create -m MACHINE -r 1.1 -n SOURCE -c"),
    Step("machine-versions create -m MACHINE -r 1.2 --js BUNDLE --skip-validation"),
    Step("machine-versions create -m MACHINE -r 1.3 -j BUNDLE -s -n SOURCE", refused=True),
    Step("machine-versions validate-bundle --js BUNDLE", sought="Valid",
         fault="F22", theirs=1, seen="Invalid bundle"),
    Step("machine-versions list -m MACHINE"),
    Step(f"instances create -m MACHINE -i one {AUTH}"),
    Step("""instances create --machine MACHINE --instance=two --auth-context={} -v VERSION
        -c '{"public": {"count": 4}}'"""),
    Step("instances create -m MACHINE -i three", refused=True),
    Step("instances create -m MACHINE -i three --token TOKEN", fault="F4", theirs=1,
         seen=UNDEFINED),
    Step("instances create -m MACHINE -i four -t TOKEN", fault="F2",
         theirs=1, seen="One of --token or --auth-context is required"),
    Step(f"instances send-event -m MACHINE -i one -e turn {AUTH}"),
    Step("""instances send-event -m MACHINE -i one -e '{"type": "turn", "by": 1}' -a '{}'"""),
    Step("instances send-event -m MACHINE -i one -e turn --token TOKEN", fault="F4", theirs=1,
         seen=UNDEFINED),
    Step(f"instances send-event -m MACHINE -i one -e '{{broken' {AUTH}", refused=True,
         fault="F19", seen='"count"'),
    Step("instances get -m MACHINE -i one"),
    Step("instances list -m MACHINE"),
    Step("instances list-transitions -m MACHINE -i one"),
    Step("instances set-status -m MACHINE -i one -s paused", stdin="one\n", sought="paused"),
    Step(f"instances send-event -m MACHINE -i one -e turn {AUTH}", refused=True),
    Step("instances set-status -m MACHINE -i one -s running", sought="running"),
    Step("instances set-status -m MACHINE -i one -s stopped", refused=True),
    Step("logs get -f -1h -m MACHINE -i one -v VERSION"),
    Step("logs get --from=-1h --to 2h --machine MACHINE"),
    Step("logs get -f -1h -t 2h", fault="F2", seen=NO_SESSION),
    Step("logs get -f -1h -m MACHINE -i one --clean", sought=r'"msg": ?"logs for"'),
    Step("instances delete -m MACHINE -i two", refused=True, fault="F6", seen="confirm"),
    Step("instances delete -m MACHINE -i two", stdin="two\n", sought="two"),
    Step("machines delete -m MACHINE", stdin="MACHINE\n", refused=True,
         fault="F6", seen="has associated instances"),
    Step("machines delete -m EMPTY", stdin="EMPTY\n", sought="EMPTY"),
]  # fmt: skip

_ACCOUNT = "--api-url URL"

ACCOUNTS = [
    Step("orgs default get", before=_ACCOUNT, sought="No default org"),
    Step("orgs default set -o ORG", before=_ACCOUNT, sought="ORG"),
    Step("orgs default get", before="", sought="^ORG$"),
    Step("orgs create --name second", before=_ACCOUNT),
    Step("orgs list", before=_ACCOUNT),
    Step("orgs list --access-token ACCESS", before=_ACCOUNT, fault="F1",
         seen=NO_SESSION),
    Step("keys create -n web --use production", before=_ACCOUNT),
    Step("keys create --name build --use ci", before=_ACCOUNT),
    Step("keys create --name build -u ci", before=_ACCOUNT, fault="F2",
         theirs=1, seen="from ci/keys"),
    Step("keys create -n more -s events.write state.read", before=_ACCOUNT),
    Step("keys create -n more -s events.write,state.read", before=_ACCOUNT, fault="F10",
         theirs=1, seen="invalid scope"),
    Step("keys create -n more -s instances.admin", before=_ACCOUNT, fault="F10", theirs=1,
         seen="invalid scope"),
    Step("keys create -n more -s nothing.read", before=_ACCOUNT, refused=True),
    Step("keys list", before=_ACCOUNT),
    Step("""tokens generate -k KEY -s SECRET -c '{"sub": "u_12"}'""", before="",
         sought=r"^eyJ[\w-]+\.[\w-]+\.[\w-]+$"),
    Step("tokens generate -k KEY -s SECRET -c nothing", before="", refused=True),
    Step("invitations send -e ann@example.com -r read", before=_ACCOUNT,
         sought="ann@example.com"),
    Step("invitations send -e ann -r read", before=_ACCOUNT, refused=True),
    Step("invitations send -o ORG -e ann@example.com -r owner", before=_ACCOUNT, refused=True),
    Step("invitations accept --invitation INVITATION", before=_ACCOUNT, sought="accepted"),
    Step("invitations accept -i INVITATION", before=_ACCOUNT, refused=True),
    Step(f"""identity-providers upsert -a ISSUER -i ISSUER -l HS256 HS512 -k secret {MAPPING}""",
         before=_ACCOUNT, sought="ISSUER"),
    Step(f"""identity-providers upsert --issuer=ISSUER -l HS256 -b c2VjcmV0 {MAPPING}""",
         before=_ACCOUNT, sought="ISSUER"),
    Step(f"""identity-providers upsert --audience ISSUER --algorithm RS256
         -j https://id.example.com/jwks {MAPPING}""", before=_ACCOUNT, sought="ISSUER"),
    Step(f"identity-providers upsert -l HS256 -k secret {MAPPING}", before=_ACCOUNT, refused=True),
    Step(f"identity-providers upsert -i ISSUER -l HS1 -k x {MAPPING}", before=_ACCOUNT,
         refused=True),
    Step(f"identity-providers upsert-supabase -p PROJECT -s secret {MAPPING}", before=_ACCOUNT,
         sought=r"https://PROJECT\.supabase\.co/auth/v1"),
    Step(f"identity-providers upsert-auth0 -d PROJECT.auth0.com {MAPPING}", before=_ACCOUNT,
         sought=r"https://PROJECT\.auth0\.com/"),
    Step(f"identity-providers upsert-cognito --user-pool-id PROJECT -r eu-west-1 {MAPPING}",
         before=_ACCOUNT, sought="https://cognito-idp.eu-west-1.amazonaws.com/PROJECT"),
    Step(f"identity-providers upsert-cognito -u PROJECT -r eu-west-1 {MAPPING}", before=_ACCOUNT,
         fault="F2", theirs=1, seen="required option '-u, --user-pool-id"),
    Step("identity-providers list", before=_ACCOUNT),
    Step("identity-providers delete -a ISSUER -i ISSUER", before=_ACCOUNT, stdin="y\n",
         sought="ISSUER"),
    Step("identity-providers delete -i ISSUER", before=_ACCOUNT, stdin="n\n", refused=True,
         fault="F6", seen="Aborting"),
    Step(f"token-providers upsert -s SERVICE -k KEY {MAPPING}", before=_ACCOUNT, sought="SERVICE"),
    Step("token-providers upsert -s SERVICE -k KEY -m [", before=_ACCOUNT, refused=True),
    Step("token-providers list", before=_ACCOUNT),
    Step("token-providers delete --service SERVICE", before=_ACCOUNT, stdin="SERVICE\n",
         sought="SERVICE"),
    Step("keys delete -k KEY", before=_ACCOUNT, more="--yes", sought="KEY", fault="F31"),
    Step("billing", before=_ACCOUNT, refused=True),
    Step("whoami", before=_ACCOUNT, fault="F28", seen=None),
    Step("login --no-store --token-stdin", before=_ACCOUNT, stdin="ACCESS\n", sought="^ACCESS$",
         fault="F3 F28", seen=None),
]  # fmt: skip


@dataclass
class Tool:
    """One of the two, and the words that stand for its own things."""

    words: dict[str, str]
    done: list[tuple[Step, Done]] = field(default_factory=list)

    def play(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if self.can(step):
                argv = [self.own(word) for word in shlex.split(f"{step.before} {step.line}")]
                done = self.run([*argv, *self.more(step)], self.own(step.stdin))
                self.learn(step, done)
                self.done.append((step, done))

    def own(self, text: str) -> str:
        return re.sub(r"\b[A-Z]{3,}\b", lambda found: self.words.get(found[0], found[0]), text)

    def learn(self, step: Step, done: Done) -> None:
        if step.line == "keys create -n web --use production" and done.status == 0:
            key = told(done.stdout)
            self.words |= {"KEY": key["id"], "SECRET": key["key"]}
        if step.line == "machine-versions list -m MACHINE" and done.status == 0:
            self.words["VERSION"] = told(done.stdout)[0]["id"]

    def can(self, step: Step) -> bool:
        return True

    def more(self, step: Step) -> list[str]:
        return []

    def run(self, argv: list[str], stdin: str) -> Done:
        raise NotImplementedError


@dataclass
class Theirs(Tool):
    packages: Path = Path()
    home: Path = Path()

    def can(self, step: Step) -> bool:
        return step.seen is not None

    def run(self, argv: list[str], stdin: str) -> Done:
        done = subprocess.run(
            [NODE / "node", self.packages / "node_modules/smply/dist/index.js", *argv],
            env={
                "HOME": str(self.home), "PATH": os.environ["PATH"],
                "NODE_COMPILE_CACHE": str(self.home / "compiled"),
            },
            cwd=self.home, input=stdin, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class Ours(Tool):
    def more(self, step: Step) -> list[str]:
        return shlex.split(step.more)

    def run(self, argv: list[str], stdin: str) -> Done:
        if "logs" in argv and "-v" not in argv:
            # What was printed is told a moment later.
            until(lambda: "turned" in smply(*argv).stdout)
        return smply(*argv, stdin=stdin)


@dataclass(frozen=True)
class Pair:
    """What both said of a step, and the words that stood for each one's own things."""

    theirs: Done | None
    their_words: Mapping[str, str]
    ours: Done
    words: Mapping[str, str]


@pytest.fixture(scope="module")
def pairs(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[int, Pair]]:
    """Both tools have run every step; the npm tool in processes of its own, two at a time."""
    here = tmp_path_factory.mktemp("beside")
    (installed / "machine.ts").write_text(SOURCE)
    (installed / "bundle.js").write_text(SOURCE.replace('"xstate"', '"npm:xstate@5"'))
    house = House(here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(here))
        patch.setenv("SMPLY_CONFIG_DIR", str(here / "config"))
        patch.setenv("SMPLY_DATA_DIR", str(here / "own"))
        server = house.serve("--port", "0")
        try:
            yield _all_pairs(here, installed, server.told)
            server.stop()
        finally:
            server.process.kill()
            server.process.wait()


def _all_pairs(here: Path, installed: Path, told_of: Mapping[str, Any]) -> Mapping[int, Pair]:
    common = {
        "URL": told_of["url"], "ORG": told_of["orgId"], "ACCESS": told_of["accessToken"],
        "SOURCE": str(installed / "machine.ts"), "BUNDLE": str(installed / "bundle.js"),
    }  # fmt: skip
    ours = Ours({**common, **_own_words("ours")})
    _prepare(ours)
    homes = [_signed_in(here / name, common["ACCESS"]) for name in ("machines", "accounts")]
    words = {**ours.words, **_own_words("theirs")}
    chains = [
        (Theirs({**words, "INVITATION": words[f"INVITATION{at}"]}, [], installed, home), steps)
        for at, (home, steps) in enumerate(zip(homes, (MACHINES, ACCOUNTS), strict=True))
    ]
    with ThreadPoolExecutor(len(chains)) as pool:
        playing = [pool.submit(tool.play, steps) for tool, steps in chains]
        ours.play([*MACHINES, *ACCOUNTS])
        for each in playing:
            each.result()
    theirs = {id(step): done for tool, _ in chains for step, done in tool.done}
    whose = {id(step): tool.words for tool, steps in chains for step in steps}
    return {
        id(step): Pair(theirs.get(id(step)), whose[id(step)], done, ours.words)
        for step, done in ours.done
    }


def _own_words(name: str) -> dict[str, str]:
    return {
        "MACHINE": f"m-{name}", "EMPTY": f"empty-{name}", "SERVICE": f"service-{name}",
        "ISSUER": f"https://{name}.example.com/", "PROJECT": f"project-{name}",
    }  # fmt: skip


def _prepare(ours: Ours) -> None:
    """A profile for ours, a token of a user, and invitations into orgs of somebody else."""
    url, access = ours.words["URL"], ours.words["ACCESS"]

    def run(line: str, stdin: str = "") -> Any:
        done = ours.run(shlex.split(line), stdin)
        assert done.status == 0, done.stderr
        return done.json

    run(f"profile set work --url {url} --token-stdin", access)
    run("profile use work")
    key = run("keys create --name users")
    token = ours.run(
        shlex.split(f'tokens generate -k {key["id"]} --secret-stdin -c \'{{"sub": "u_12"}}\''),
        key["key"],
    )
    ours.words["TOKEN"] = token.stdout.strip()
    code = run("invitations send -e bob@example.com")["invitation"]
    run(f"profile set nobody --url {url}")
    bob = run(f"invitations accept -i {code} --profile nobody")
    for at in range(2):
        org = run(f"orgs create -n bobs --api-url {url} --access-token {bob['accessToken']}")
        sent = run(
            f"invitations send -e ann@example.com --api-url {url} -o {org['orgId']}"
            f" --access-token {bob['accessToken']}"
        )
        ours.words[f"INVITATION{at}"] = sent["invitation"]
    ours.words["INVITATION"] = ours.words["INVITATION0"]


def _signed_in(home: Path, token: str) -> Path:
    """A home in which the npm tool finds a session that has not expired."""
    (home / ".smply").mkdir(parents=True)
    session = {
        "access_token": token, "refresh_token": "none", "token_type": "bearer",
        "expires_in": 10**6, "expires_at": int(time.time()) + 10**6, "user": {"id": "0"},
    }  # fmt: skip
    (home / ".smply" / "credentials").write_text(json.dumps(session))
    return home


def told(stdout: str) -> Any:
    """The JSON of an answer of the npm tool, which has sentences before it (F8)."""
    found = re.search(r"^[\[{]", stdout, re.MULTILINE)
    return None if found is None else json.loads(stdout[found.start() :])


def places(value: Any, path: str = "") -> set[str]:
    """Every key of JSON with its path, and what kind of value is there."""
    if isinstance(value, dict):
        return {path} | {place for key in value for place in places(value[key], f"{path}.{key}")}
    if isinstance(value, list):
        return {f"{path}[]"} | {place for item in value for place in places(item, f"{path}[]")}
    return {f"{path}: {type(value).__name__}"}


STEPS = [*MACHINES, *ACCOUNTS]
COMPARED = [step for step in STEPS if step.compared]


def names(steps: Sequence[Step]) -> list[str]:
    return [f"{at}-{step.name[:80]}" for at, step in enumerate(steps)]


@pytest.mark.parametrize("step", STEPS, ids=names(STEPS))
def test_ours_does_what_the_npm_tool_does(step: Step, pairs: Mapping[int, Pair]) -> None:
    """Or what it would do, without the fault that the step names."""
    pair = pairs[id(step)]
    assert (pair.ours.status != 0) == step.refused, pair.ours.stderr
    if pair.theirs is None:
        assert step.seen is None
        return
    said = pair.theirs.stdout + pair.theirs.stderr
    assert Tool(dict(pair.their_words)).own(step.seen or "") in said
    expected = 1 if step.refused and not step.seen else step.theirs
    assert pair.theirs.status == expected, said


@pytest.mark.parametrize("step", COMPARED, ids=names(COMPARED))
def test_every_key_that_the_npm_tool_prints_is_in_ours(
    step: Step, pairs: Mapping[int, Pair]
) -> None:
    """And where it prints a text, what a caller looks for."""
    pair = pairs[id(step)]
    assert pair.theirs is not None
    if step.sought:
        sought = Tool(dict(pair.words)).own(step.sought)
        assert re.search(sought, pair.ours.stdout, re.MULTILINE), pair.ours.stdout
    else:
        assert places(told(pair.theirs.stdout)) <= places(pair.ours.json)


def test_both_sign_the_same_claims(pairs: Mapping[int, Pair]) -> None:
    step = next(step for step in STEPS if step.line.startswith("tokens generate"))
    pair = pairs[id(step)]
    assert pair.theirs is not None
    theirs, ours = (_claims(done.stdout.strip()) for done in (pair.theirs, pair.ours))
    assert ours.keys() == theirs.keys()
    assert ours["exp"] - ours["iat"] == theirs["exp"] - theirs["iat"]
    for name in ("act", "aud", "iss"):
        assert ours[name] == theirs[name]


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


TIMES = [
    "15m", "-15m", "-1h", "0s", "2 hours", "1.5h", "3 days", "1w", "1y", "2 yrs", "30 SEC", "5Mins",
    "2024", "2024-03", "2024-01-31", "2024-01-31T10:00Z", "2024-01-31T10:00:00.123Z",
    "2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00",
    "+5m", "-1.5h", "1.h", "soon", "5 parsecs", "2024-13", "2024-02-32", "1 m h",
]  # fmt: skip
READ_TIMES = """
import { relativeTime } from "./node_modules/smply/dist/relative-time.js";
const read = (text) => { try { return relativeTime(text, new Date(1e12)).getTime(); } catch {} };
console.log(JSON.stringify(JSON.parse(process.argv[2]).map((text) => read(text) ?? null)));
"""


def test_times_are_read_alike(installed: Path) -> None:
    """Spans from one moment; a time without a zone is UTC here, and local in JavaScript."""
    (installed / "times.mjs").write_text(READ_TIMES)
    done = subprocess.run(
        [NODE / "node", "times.mjs", json.dumps(TIMES)], cwd=installed, capture_output=True,
        env={"TZ": "UTC"}, text=True, check=True, timeout=SECONDS,
    )  # fmt: skip
    assert [_moment(text) for text in TIMES] == json.loads(done.stdout)


def _moment(text: str) -> int | None:
    try:
        return moment("--from", text, 10**12)
    except UsageError:
        return None


def test_no_command_of_the_npm_tool_is_left_out() -> None:
    assert {name for name in COMMANDS if any(_is_of(step, name) for step in STEPS)} == (
        COMMANDS.keys() - NOT_BUILT
    )


def _is_of(step: Step, name: str) -> bool:
    return f"{step.line} ".startswith(f"{name} ")
