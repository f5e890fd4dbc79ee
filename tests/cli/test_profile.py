"""`smply profile` and signing in and out: what they say, keep, and never show."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest

from smply.profiles import Profile, Profiles
from tests import keyrings
from tests.cli.conftest import Run
from tests.peers import Peer, alone, http

URL, OTHER = "https://smply.example.com", "https://other.example"
SECRET = "sbat_hush"
ORGS = tuple(f"org_{letter * 22}" for letter in "ab")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the settings of `data_dir`; nothing of the environment's own."""
    alone(monkeypatch)
    for name in ("ACCESS_TOKEN", "API_URL", "KEY_ID", "ORG", "PROFILE", "SECRET_KEY"):
        monkeypatch.delenv(f"SMPLY_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "config"


@pytest.fixture
def profiles(config: Path) -> Profiles:
    """`prod`, which is in use, with a token, and `ci` with a key."""
    profiles = Profiles(config)
    profiles.save(Profile("prod", URL, org="org_1", token=SECRET))
    profiles.save(Profile("ci", URL, key_id="sbk_1", secret=SECRET))
    profiles.use("prod")
    return profiles


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def locked(profiles: Profiles) -> Iterator[Any]:
    """The credential of `prod` is in a keyring that nobody unlocks."""
    before = keyring.get_keyring()
    keyring.set_keyring(keyrings.Locked())
    profiles.save(Profile("prod", URL, org="org_1", token=SECRET))
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize("output", ["json", "jsonl", "yaml", "table"])
@pytest.mark.parametrize("command", [("list",), ("show",), ("show", "prod"), ("show", "ci")])
def test_no_secret_is_ever_shown(
    run: Run, profiles: Profiles, output: str, command: tuple[str, ...]
) -> None:
    done = run("profile", *command, "--output", output)
    assert done.status == 0
    assert URL in done.stdout
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "act",
    [
        ("profile", "set", "new", "--url", URL, "--token-stdin"),
        ("profile", "set", "new", "--url", URL, "--key-id", "sbk_1", "--secret-stdin"),
        ("profile", "set", "../new", "--url", URL, "--token-stdin"),
        ("profile", "set", "new", "--token-stdin"),
        ("profile", "set", "new", "--url", URL, "--token-stdin", "--key-id", "k"),
        ("login", "--api-url", "http://127.0.0.1:9", "--token-stdin"),
    ],
)
def test_no_secret_of_stdin_is_ever_shown(
    run: Run, type_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, act: tuple[str, ...]
) -> None:
    monkeypatch.setattr("smply.client._base.pause_before", lambda *_: 0.0)
    for flag in ((), ("--json",)):
        type_in(f"{SECRET}\n")
        done = run(*act, *flag)
        assert done.stdout + done.stderr != ""
        assert SECRET not in done.stdout + done.stderr


def test_show_says_who_said_what(
    run: Run, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMPLY_ORG", ORGS[0])
    shown = run("profile", "show", "--api-url", f"{URL}/").json
    assert {what: row["from"] for what, row in shown.items()} == {
        "profile": "smply profile use",
        "server": "--api-url",
        "org": "SMPLY_ORG",
        "credential": "profile prod",
    }
    assert (shown["credential"]["kind"], shown["credential"]["keptIn"]) == ("token", "file")
    elsewhere = run("profile", "show", "--api-url", OTHER).json
    assert (elsewhere["credential"]["value"], elsewhere["credential"]["from"]) == (None, None)


BROKEN = {"broken": "{", "gone": None}


@pytest.mark.parametrize("what", BROKEN)
def test_a_list_shows_the_others_when_the_one_in_use_is_no_good(
    run: Run, profiles: Profiles, config: Path, what: str
) -> None:
    """It is the next step that the error names."""
    path, text = config / "profiles" / "prod.json", BROKEN[what]
    path.unlink()
    if text is not None:
        path.write_text(text)
    refused = run("machines", "list")
    assert refused.status in (1, 2)
    listed = run("profile", "list")
    assert listed.status == 0
    rows = {row["name"]: row for row in listed.json}
    assert set(rows) == {"local", "ci"} | ({"prod"} if text else set())
    assert not text or "is broken: it is no JSON" in rows["prod"]["error"]


def test_a_broken_profile_is_set_anew_as_its_error_says(
    run: Run, profiles: Profiles, config: Path
) -> None:
    (config / "profiles" / "prod.json").write_text("{")
    refused = run("machines", "list", "--json")
    error = json.loads(refused.stderr)["error"]
    assert (refused.status, error["code"]) == (1, "profile")
    assert error["hint"].endswith("smply profile set prod --url URL")
    assert run("profile", "set", "prod", "--org", ORGS[0]).status == 1
    assert run("profile", "set", "prod", "--url", URL).status == 0
    assert profiles.load("prod") == Profile("prod", URL)
    (config / "profiles" / "prod.json").write_text("{")
    assert run("profile", "delete", "prod", "--yes").status == 0


def test_an_unusable_directory_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SMPLY_CONFIG_DIR", str(tmp_path / "file" / "config"))
    done = run("profile", "set", "prod", "--url", URL, "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.status, error["code"]) == (1, "profile")
    assert "prod.json cannot be used" in error["message"]
    assert error["hint"] == "SMPLY_CONFIG_DIR names another directory"
    assert run("profile", "list").status == 0


@pytest.mark.parametrize(
    "command",
    [
        ("profile", "list"), ("profile", "show"), ("profile", "set", "prod", "--org", ORGS[0]),
        ("orgs", "default", "set", "--org", ORGS[0]), ("profile", "use", "ci"),
    ],
)  # fmt: skip
def test_a_locked_keyring_hinders_only_who_needs_it(
    run: Run, locked: Any, command: tuple[str, ...]
) -> None:
    assert run(*command).status == 0


@pytest.mark.parametrize(
    ("command", "done"),
    [(("logout",), "is signed out"), (("profile", "delete", "prod", "--yes"), "is deleted")],
)
def test_who_leaves_a_secret_in_a_keyring_is_told(
    run: Run, locked: Any, profiles: Profiles, command: tuple[str, ...], done: str
) -> None:
    """It is done as far as it can be."""
    said = run(*command)
    assert (said.status, said.stdout) == (1, "")
    assert f"error: profile prod {done}, but the system's keyring keeps the credential" in (
        said.stderr
    )
    assert said.stderr.endswith("hint:  unlock the keyring, and remove it there\n")
    assert "prod" not in profiles.names() or profiles.load("prod").credential is None


def test_a_locked_keyring_is_told_to_who_needs_it(run: Run, locked: Any) -> None:
    done = run("machines", "list")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == (
        "error: the credential of profile prod is in the system's keyring:"
        " Failed to unlock the collection!\n"
        "hint:  unlock the keyring, or sign in again: smply login --profile prod\n"
    )


def test_a_keyring_that_takes_nothing_is_told(
    run: Run, type_in: Callable[[str], None], config: Path
) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyrings.Full())
    type_in(f"{SECRET}\n")
    try:
        done = run("profile", "set", "new", "--url", URL, "--token-stdin")
    finally:
        keyring.set_keyring(before)
    assert done.status == 0
    assert done.stderr.endswith(
        "remark: the system's keyring refused it: Can't store password on keychain: (-25299);"
        f" the credential is in {config / 'profiles' / 'new.json'}\n"
    )


def test_who_deletes_the_one_in_use_is_told_which_is_used_now(run: Run, profiles: Profiles) -> None:
    assert "remark" not in run("profile", "delete", "ci", "--yes").stderr
    done = run("profile", "delete", "prod", "--yes")
    assert "remark: it was in use: commands are for this machine now\n" in done.stderr


def test_settings_without_a_home_are_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMPLY_CONFIG_DIR", "~no-such-user/settings")
    done = run("profile", "list")
    assert done.status == 2
    assert done.stderr == (
        "error: there is no home directory for settings\n"
        "hint:  SMPLY_CONFIG_DIR names a directory\n"
    )


def test_who_has_a_credential_for_another_server_is_told_for_which(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMPLY_API_URL", OTHER)
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", SECRET)
    done = run("machines", "list", "--api-url", URL)
    assert done.status == 4
    assert f"no credential for {URL}: what the environment has is for {OTHER}\n" in done.stderr


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_is_no_token(run: Run, tmp_path: Path, content: str) -> None:
    """As a pipeline leaves it that lacks its secret."""
    (tmp_path / "token").write_text(content)
    done = run("machines", "list", "--api-url", URL, "--access-token", f"@{tmp_path / 'token'}")
    assert (done.status, done.stderr.partition("\n")[0]) == (2, "error: --access-token is empty")


# Signing in.


def signing_in(*orgs: str) -> Peer:
    """A server that knows a person, who is in these orgs."""
    person = http('{"version": "0", "userId": "usr_1", "scopes": [], "act": {}}')
    rows = [
        {"id": org, "name": "o", "role": "admin", "createdAt": "x", "limits": {}} for org in orgs
    ]
    return Peer(answers=(person, http(json.dumps({"orgs": rows}))))


@pytest.mark.parametrize(
    ("flags", "variables", "name"),
    [
        ((), {"SMPLY_PROFILE": "ci"}, "ci"),
        (("--profile", "new"), {"SMPLY_PROFILE": "ci"}, "new"),
    ],
)
def test_who_signs_in_does_so_to_the_profile_that_is_named(
    run: Run, profiles: Profiles, type_in: Callable[[str], None], flags: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str,
) -> None:  # fmt: skip
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    kept = {each: profiles.load(each) for each in ("prod", "ci")}
    type_in("sbat_new\n")
    with signing_in(ORGS[0]) as peer:
        done = run("login", "--api-url", peer.url, "--token-stdin", *flags)
    assert (done.status, done.json["profile"]) == (0, name)
    assert profiles.load(name) == Profile(name, peer.url, org=ORGS[0], token="sbat_new")
    assert profiles.in_use() == name
    assert all(profiles.load(each) == kept[each] for each in kept if each != name)
    assert (f"remark: what it had for {URL} is left behind\n" in done.stderr) == (name == "ci")


def test_who_signs_in_to_a_second_server_keeps_the_credential_of_the_first(
    run: Run, profiles: Profiles, type_in: Callable[[str], None]
) -> None:
    """It was perhaps told once."""
    before = profiles.load("prod")
    profiles.save(Profile("127-0-0-1", OTHER))
    type_in("sbat_new\n")
    with signing_in(ORGS[0]) as peer:
        done = run("login", "--api-url", peer.url, "--token-stdin")
    assert (done.status, done.json["profile"]) == (0, "127-0-0-1-2")
    assert f"remark: profile prod is of {URL}, and stays as it was\n" in done.stderr
    assert profiles.load("prod") == before
    assert profiles.in_use() == "127-0-0-1-2"


def test_who_signs_in_again_to_a_second_server_needs_no_third_profile(
    run: Run, profiles: Profiles, type_in: Callable[[str], None]
) -> None:
    type_in("sbat_new\n")
    with signing_in(ORGS[0]) as peer:
        profiles.save(Profile("127-0-0-1", peer.url, token="sbat_old"))
        assert run("login", "--api-url", peer.url, "--token-stdin").status == 0
    assert profiles.load("127-0-0-1").token == "sbat_new"
    assert profiles.names() == ["local", "127-0-0-1", "ci", "prod"]


@pytest.mark.parametrize(
    ("flags", "says", "hint"),
    [
        (("--token-stdin", "--secret-stdin"), "--token-stdin and --secret-stdin are two", "leave"),
        (("--token-stdin", "--key-id", "k"), "--token-stdin and --key-id are two", "leave"),
        (("--secret-stdin",), "--secret-stdin is of a key, and none is named", "--key-id ID"),
        (("--key-id", "k"), "--key-id is a key without its secret", "--secret-stdin < FILE"),
        (("--token-stdin",), "there is no credential on stdin", "--token-stdin < FILE"),
        (("--key-id", "k", "--secret-stdin"), "there is no credential", "--secret-stdin < FILE"),
    ],
)
def test_half_a_credential_is_refused_by_what_was_given(
    run: Run, type_in: Callable[[str], None], flags: tuple[str, ...], says: str, hint: str
) -> None:
    type_in("")
    done = run("login", "--api-url", URL, *flags)
    assert done.status == 2
    assert done.stderr.startswith(f"error: {says}")
    assert f"hint:  {hint}" in done.stderr


@pytest.mark.parametrize("given", [("--profile", "local"), ("--data-dir", "x"), ()])
def test_nobody_signs_in_to_this_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SMPLY_PROFILE", "local")
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", SECRET)
    done = run("login", "--api-url", URL, *given)
    assert done.status == 2
    assert "local is this machine, and needs no signing in" in done.stderr


def test_a_credential_of_another_server_signs_nobody_in(
    run: Run, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment has is for the server that it names."""
    monkeypatch.setenv("SMPLY_API_URL", OTHER)
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", SECRET)
    with signing_in(ORGS[0]) as peer:
        done = run("login", "--api-url", peer.url)
    assert (done.status, peer.asked) == (2, [])
    assert "there is no credential to sign in with" in done.stderr


def test_who_signs_in_again_stays_with_the_profile_that_a_flag_names(
    run: Run, profiles: Profiles, type_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable does not aim it elsewhere."""
    type_in("sbat_new\n")
    with signing_in(ORGS[0]) as peer:
        profiles.save(Profile("here", peer.url))
        monkeypatch.setenv("SMPLY_API_URL", OTHER)
        assert run("login", "--profile", "here", "--token-stdin").status == 0
    assert profiles.load("here").url == peer.url


def test_who_is_in_several_orgs_is_told(run: Run, type_in: Callable[[str], None]) -> None:
    type_in("sbat_new\n")
    with signing_in(*ORGS) as peer:
        done = run("login", "--api-url", peer.url, "--token-stdin")
    assert (done.status, done.json["org"]) == (0, None)
    assert "you are in several orgs: smply orgs list, smply orgs default set" in done.stderr


def test_an_org_that_one_is_not_in_is_refused_and_nothing_kept(
    run: Run, profiles: Profiles, type_in: Callable[[str], None]
) -> None:
    before = profiles.load("prod")
    type_in("sbat_new\n")
    with signing_in(ORGS[0]) as peer:
        done = run("login", "--api-url", peer.url, "--token-stdin", "--org", ORGS[1])
    assert done.status == 2
    assert f"hint:  --org {ORGS[0]}" in done.stderr
    assert profiles.load("prod") == before


# What is said of it, and what is refused.


@pytest.fixture
def asked(profiles: Profiles) -> Iterator[Peer]:
    """A server that is neither that of a profile nor this machine."""
    with signing_in(ORGS[0]) as peer:
        yield peer


def test_nobody_is_told_of_a_profile_that_has_no_part_in_it(run: Run, asked: Peer) -> None:
    told = ("--api-url", asked.url, "--access-token", SECRET)
    assert run("whoami", *told).json["profile"] is None


def test_on_a_terminal_it_is_said_that_there_is_none(look: Run, asked: Peer) -> None:
    told = ("--api-url", asked.url, "--access-token", SECRET)
    assert "profile   none\n" in look("whoami", *told).stdout


def test_this_machine_and_a_profile_by_its_address_keep_their_names(
    run: Run, asked: Peer, profiles: Profiles
) -> None:
    profiles.save(Profile("prod", asked.url, token=SECRET))
    assert run("whoami", "--api-url", asked.url).json["profile"] == "prod"
    assert run("whoami", "--profile", "local").json["profile"] == "local"


def test_local_leaves_what_the_environment_says_aside(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nonsense too."""
    monkeypatch.setenv("SMPLY_API_URL", "nonsense")
    assert run("machines", "list").status == 2
    assert run("machines", "list", "--profile", "local").status == 0


def test_a_secret_without_its_key_is_refused_but_for_signing(
    run: Run, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMPLY_SECRET_KEY", f"sbsec_{'A' * 43}")
    done = run("profile", "show")
    assert done.status == 2
    assert done.stderr == (
        "error: SMPLY_SECRET_KEY is the secret of a key, and none is named\n"
        "hint:  set SMPLY_KEY_ID\n"
    )
    key = "sbk_AAAAAAAAAAAAAAAAAAAAAA"
    assert run("tokens", "generate", "--key", key, "--claims", "{}").status == 0
    assert run("machines", "list", "--profile", "local").status == 0


def test_certificates_that_cannot_be_used_are_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "k.pem"
    file.write_text("no PEM")
    set_new = ("profile", "set", "new", "--url", URL)
    refused = run(*set_new, "--ca", str(file))
    assert (refused.status, refused.stderr.partition("\n")[0]) == (
        2, f"error: --ca: {file} holds no certificates",
    )  # fmt: skip
    refused = run(*set_new, "--client-key", str(file))
    assert (refused.status, refused.stderr.partition("\n")[2]) == (2, "hint:  --client-cert FILE\n")
    assert run("profile", "list", "--quiet").stdout == "local\n"
    assert run(*set_new, "--client-key", str(file), "--client-cert", str(file)).status == 0


def test_a_list_says_that_the_one_in_use_is_gone(
    run: Run, profiles: Profiles, config: Path
) -> None:
    assert "remark" not in run("profile", "list").stderr
    (config / "profiles" / "prod.json").unlink()
    assert run("profile", "list").stderr == (
        "remark: there is no profile prod, which is in use by smply profile use:"
        " smply profile use local\n"
    )


def test_show_says_that_a_profile_is_named_by_its_name(run: Run, profiles: Profiles) -> None:
    assert run("profile", "show", "ci").json["profile"] == {"value": "ci", "from": "NAME"}
    assert run("profile", "show", "local").json["server"]["from"] == "NAME"
    assert run("profile", "show", "--profile", "ci").json["profile"]["from"] == "--profile"


def test_the_secret_of_supabase_is_no_key_of_ours(run: Run) -> None:
    told = run("identity-providers", "upsert-supabase", "--help").stdout
    assert "Its JWT secret is the first line of stdin." in " ".join(told.split())
