"""Profiles on a real file system, and in keyrings of the real library."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import hypothesis
import keyring
import pytest
from hypothesis import strategies as st

from smply.contract import NAME
from smply.errors import UsageError
from smply.profiles import LOCAL, Profile, ProfileError, Profiles, checked_url
from tests import keyrings
from tests.conftest import TIMES

URL = "https://smply.example.com"
SECRET = "sbat_hush"
PROD = Profile("prod", URL, org="org_1", token=SECRET)
KEYED = Profile("ci", URL, key_id="sbk_1", secret=SECRET)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.from_regex(NAME, fullmatch=True).filter(lambda name: name != LOCAL)
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists, max_leaves=4)


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    return Profiles(tmp_path / "config")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "config" / "profiles"


@pytest.fixture
def use_keyring() -> Iterator[Callable[[Any], Any]]:
    before = keyring.get_keyring()

    def use(backend: Any) -> Any:
        keyring.set_keyring(backend)
        return backend

    yield use
    keyring.set_keyring(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Files.


@pytest.mark.parametrize("profile", [PROD, KEYED, Profile("bare", URL, ca="/ca.pem")])
def test_what_is_kept_comes_back(profiles: Profiles, profile: Profile) -> None:
    assert not profiles.save(profile).keyring
    assert profiles.load(profile.name) == profile
    assert profiles.unlock(profile) is profile


def test_nobody_else_may_read_it(profiles: Profiles, files: Path) -> None:
    """F9; whatever the umask says."""
    before = os.umask(0)
    try:
        profiles.save(PROD)
        profiles.use("prod")
    finally:
        os.umask(before)
    assert [mode(path) for path in (files.parent, files, files / "prod.json")] == [
        0o700, 0o700, 0o600
    ]  # fmt: skip


@pytest.mark.parametrize("act", [lambda p: p.load("prod"), lambda p: p.save(PROD)])
def test_modes_are_repaired(
    profiles: Profiles, files: Path, act: Callable[[Profiles], Any]
) -> None:
    """F9."""
    profiles.save(PROD)
    files.chmod(0o755)
    (files / "prod.json").chmod(0o644)
    act(profiles)
    assert (mode(files), mode(files / "prod.json")) == (0o700, 0o600)


def test_a_directory_of_others_keeps_its_mode(tmp_path: Path) -> None:
    """SMPLY_CONFIG_DIR may be /tmp, and we may be root."""
    tmp_path.chmod(0o755)
    Profiles(tmp_path).save(PROD)
    assert (mode(tmp_path), mode(tmp_path / "profiles")) == (0o755, 0o700)


def test_a_link_is_read_and_then_replaced(profiles: Profiles, files: Path, tmp_path: Path) -> None:
    profiles.save(PROD)
    linked = tmp_path / "elsewhere.json"
    (files / "prod.json").rename(linked)
    (files / "prod.json").symlink_to(linked)
    assert profiles.load("prod") == PROD
    profiles.save(replace(PROD, org="org_2"))
    assert not (files / "prod.json").is_symlink()
    assert json.loads(linked.read_bytes())["org"] == "org_1"


def test_what_else_lies_there_is_no_profile(profiles: Profiles, files: Path) -> None:
    profiles.save(PROD)
    for name in (".prod.json-x", "notes.txt", "a b.json", "local.json", "é.json"):
        (files / name).write_text("{}")
    assert profiles.names() == ["local", "prod"]


BROKEN = {
    '{"url": "https://a", "tok': "it is no JSON",
    "[" * 100_000: "it is no JSON",
    "[]": "it is no object",
    '"https://a"': "it is no object",
    "{}": "it has no url",
    '{"url": null}': "it has no url",
    '{"url": 5}': "its url is no text",
    '{"url": "https://a", "token": {"a": 1}}': "its token is no text",
    '{"url": "https://a", "keyring": "yes"}': "keyring is a boolean",
    '{"url": "https://a", "password": "hush"}': "there is nothing that password could mean",
    '{"url": "ftp://a"}': "its url is no address of a server: ftp://a",
    '{"url": "https://me:hush@a"}': "its url has a user or a password in it",
    '{"url": "https://a", "keyId": "sbk_1"}': "a key is its keyId and its secret",
    '{"url": "https://a", "secret": "hush"}': "a key is its keyId and its secret",
    '{"url": "https://a", "token": "t", "keyId": "k", "secret": "s"}': "it has a token and a key",
    "\x00\xff": "it is no JSON",
}


@pytest.mark.parametrize(("text", "why"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_file_is_told(profiles: Profiles, files: Path, text: str, why: str) -> None:
    profiles.save(PROD)
    (files / "prod.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ProfileError) as told:
        profiles.load("prod")
    assert told.value.message == f"{files / 'prod.json'} is broken: {why}"
    assert told.value.code == "profile"
    assert "smply profile set prod --url URL" in str(told.value.hint)
    assert profiles.names() == ["local", "prod"]


def test_a_broken_one_can_be_set_anew_and_deleted(profiles: Profiles, files: Path) -> None:
    profiles.save(PROD)
    (files / "prod.json").write_text("{")
    profiles.save(PROD)
    assert profiles.load("prod") == PROD
    (files / "prod.json").write_text("{")
    profiles.delete("prod")
    assert profiles.names() == ["local"]


@hypothesis.settings(max_examples=30 * TIMES)
@hypothesis.given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
@hypothesis.example(b"null")
def test_no_content_is_a_fault_of_ours(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        profiles = Profiles(Path(directory))
        profiles.save(PROD)
        (Path(directory) / "profiles" / "prod.json").write_bytes(content)
        with pytest.raises(ProfileError, match="is broken"):
            profiles.load("prod")


@hypothesis.given(
    st.dictionaries(st.sampled_from(["url", "token", "secret", "keyId", "ca"]), values)
)
def test_no_value_is_a_fault_of_ours(fields: dict[str, Any]) -> None:
    """What is taken is what was written."""
    with tempfile.TemporaryDirectory() as directory:
        profiles = Profiles(Path(directory))
        profiles.save(PROD)
        told = {"url": URL, **fields}
        (Path(directory) / "profiles" / "prod.json").write_text(json.dumps(told))
        try:
            loaded = profiles.load("prod")
        except ProfileError as exc:
            told_of = exc.message
        else:
            told_of = "is broken: nothing"
            assert (loaded.token, loaded.ca) == (fields.get("token"), fields.get("ca"))
        assert "is broken: " in told_of


@hypothesis.given(names, texts, texts | st.none())
def test_any_profile_comes_back_whole(name: str, secret: str, org: str | None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        profiles = Profiles(Path(directory))
        profile = Profile(name, URL, org=org, key_id="sbk_1", secret=secret)
        profiles.save(profile)
        assert profiles.load(name) == profile


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a.b", "x" * 129, "é", "a b", "prod\n"])
def test_no_other_file_is_ever_meant(profiles: Profiles, name: str) -> None:
    for act in (profiles.load, profiles.use, profiles.delete):
        with pytest.raises(UsageError, match="is no name of a profile"):
            act(name)
    with pytest.raises(UsageError, match="is no name of a profile"):
        profiles.save(replace(PROD, name=name))


def test_names_are_told_apart_by_their_letters(profiles: Profiles) -> None:
    for name in ("x" * 128, "Prod", "prod", "-", "LOCAL"):
        profiles.save(replace(PROD, name=name, org=f"org_{name[0]}"))
    assert profiles.load("Prod").org == "org_P"
    assert profiles.names() == ["local", "-", "LOCAL", "Prod", "prod", "x" * 128]


def test_local_is_always_there(profiles: Profiles) -> None:
    assert profiles.names() == ["local"]
    assert profiles.load(LOCAL) == Profile(LOCAL)
    profiles.use(LOCAL)
    with pytest.raises(UsageError, match="local always exists"):
        profiles.delete(LOCAL)
    with pytest.raises(UsageError, match="has no settings"):
        profiles.save(replace(PROD, name=LOCAL))


def test_the_one_in_use_can_be_deleted(profiles: Profiles) -> None:
    profiles.save(PROD)
    profiles.save(KEYED)
    profiles.use("prod")
    profiles.delete("ci")
    assert profiles.in_use() == "prod"
    profiles.delete("prod")
    assert profiles.in_use() is None
    for act in (profiles.delete, profiles.load, profiles.use):
        with pytest.raises(UsageError, match="there is no profile prod"):
            act("prod")


# A system that does not let us.


@contextmanager
def somebody() -> Iterator[Path]:
    """A directory, and a process that may not do everything: modes say nothing to root."""
    with tempfile.TemporaryDirectory() as directory:
        path, user = Path(directory), os.geteuid()
        if user == 0:
            os.chown(path, 65_534, -1)
            os.seteuid(65_534)
        try:
            yield path
        finally:
            os.seteuid(user)


def test_an_unwritable_directory_is_told() -> None:
    with somebody() as path:
        profiles = Profiles(path / "config")
        profiles.save(PROD)
        (path / "config" / "profiles").chmod(0o500)
        with pytest.raises(ProfileError, match=r"prod.json cannot be used: Permission denied"):
            profiles.save(replace(PROD, org="org_2"))
        with pytest.raises(ProfileError, match=r"prod.json cannot be used: Permission denied"):
            profiles.delete("prod")
        assert profiles.load("prod") == PROD
        (path / "config" / "profiles").chmod(0o700)


def test_a_file_that_may_not_be_read_is_told() -> None:
    """Another user's, say; its mode stays as it is."""
    with somebody() as path:
        profiles = Profiles(path)
        profiles.save(PROD)
        (path / "profiles" / "prod.json").chmod(0o000)
        with pytest.raises(ProfileError, match="cannot be used: Permission denied") as told:
            profiles.load("prod")
        assert told.value.hint == "SMPLY_CONFIG_DIR names another directory"


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    profiles = Profiles(tmp_path / "file" / "config")
    assert (profiles.names(), profiles.in_use()) == (["local"], None)
    for act in (lambda: profiles.save(PROD), lambda: profiles.use(LOCAL)):
        with pytest.raises(ProfileError, match=r"cannot be used: (File exists|Not a dir)"):
            act()


def test_a_full_disk_leaves_what_was_there(profiles: Profiles, files: Path) -> None:
    profiles.save(PROD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(ProfileError, match="cannot be used: File too large"):
            profiles.save(replace(PROD, org="org_2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert profiles.load("prod") == PROD
    assert [path.name for path in files.iterdir()] == ["prod.json"]


def python(code: str, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *args])


def test_a_kill_in_the_middle_leaves_what_was_there(profiles: Profiles, files: Path) -> None:
    profiles.save(PROD)
    code = """
import os, signal, sys
from pathlib import Path
from smply.profiles import Profile, Profiles
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Profiles(Path(sys.argv[1])).save(Profile("prod", "https://other.example"))
"""
    with python(code, str(files.parent)) as process:
        assert process.wait(30) == -signal.SIGKILL
    assert (profiles.load("prod"), profiles.names()) == (PROD, ["local", "prod"])


def test_two_that_set_at_once_leave_one_of_them(profiles: Profiles, files: Path) -> None:
    """A reader never sees a part."""
    code = """
import sys
from pathlib import Path
from smply.profiles import Profile, Profiles
for _ in range(100):
    Profiles(Path(sys.argv[1])).save(Profile("prod", sys.argv[2], token=sys.argv[2] * 500))
"""
    urls = ["https://a.example", "https://b.example"]
    started = [python(code, str(files.parent), url) for url in urls]
    seen = set()
    while any(process.poll() is None for process in started):
        if profiles.names() == ["local", "prod"]:
            seen.add(profiles.load("prod"))
    assert [process.wait() for process in started] == [0, 0]
    assert seen | {profiles.load("prod")} <= {Profile("prod", url, token=url * 500) for url in urls}


# Keyrings.


@pytest.mark.parametrize("profile", [PROD, KEYED])
def test_a_keyring_keeps_the_credential(
    profiles: Profiles, files: Path, use_keyring: Callable[[Any], Any], profile: Profile
) -> None:
    ring = use_keyring(keyrings.Works())
    assert profiles.save(profile).keyring
    path = files / f"{profile.name}.json"
    entry = " ".join(filter(None, ("smply", str(path), URL, profile.key_id)))
    assert ring.kept == {entry: SECRET}
    assert SECRET not in path.read_text()
    loaded = profiles.load(profile.name)
    assert SECRET not in str(asdict(loaded))
    assert profiles.unlock(loaded) == replace(profile, keyring=True)


def test_what_is_in_a_keyring_stays_when_the_rest_changes(
    profiles: Profiles, use_keyring: Callable[[Any], Any]
) -> None:
    use_keyring(keyrings.Works())
    profiles.save(PROD)
    profiles.save(replace(profiles.load("prod"), org="org_2"))
    assert profiles.unlock(profiles.load("prod")).token == SECRET


def test_who_signs_out_leaves_nothing_in_a_keyring(
    profiles: Profiles, use_keyring: Callable[[Any], Any]
) -> None:
    ring = use_keyring(keyrings.Works())
    for forget in (lambda: profiles.save(PROD.with_credential()), lambda: profiles.delete("prod")):
        profiles.save(PROD)
        forget()
        assert ring.kept == {}


@pytest.mark.parametrize("backend", [keyrings.Plain, keyrings.Full, keyrings.Mad])
def test_where_no_keyring_takes_it_the_file_does(
    profiles: Profiles, use_keyring: Callable[[Any], Any], backend: Callable[[], Any]
) -> None:
    ring = use_keyring(backend())
    kept, refused = profiles.save(PROD), "the system's keyring refused it"
    assert (kept.keyring, ring.kept, profiles.load("prod")) == (False, {}, PROD)
    assert (
        kept.why
        == {
            keyrings.Plain: None,
            keyrings.Full: f"{refused}: Can't store password on keychain: (-25299)",
            keyrings.Mad: f"{refused}: no D-Bus session",
        }[type(ring)]
    )


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        (keyrings.Locked, "Failed to unlock the collection!"),
        (keyrings.Works, "it is not there"),
        (keyrings.Plain, "there is no keyring here"),
        (keyrings.Mad, "no D-Bus session"),
    ],
)
def test_a_keyring_that_gives_nothing_is_told(
    profiles: Profiles, use_keyring: Callable[[Any], Any], backend: Callable[[], Any], why: str
) -> None:
    use_keyring(keyrings.Works())
    profiles.save(PROD)
    use_keyring(backend())
    with pytest.raises(ProfileError) as told:
        profiles.unlock(profiles.load("prod"))
    assert told.value.message == (
        f"the credential of profile prod is in the system's keyring: {why}"
    )
    assert "smply login --profile prod" in str(told.value.hint)


def test_a_keyring_that_is_not_installed_any_more_is_told(
    profiles: Profiles, use_keyring: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keyring(keyrings.Works())
    profiles.save(PROD)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ProfileError, match="there is no keyring here"):
        profiles.unlock(profiles.load("prod"))
    assert not profiles.save(PROD).keyring
    assert profiles.load("prod") == PROD


def test_a_locked_keyring_hinders_no_goodbye(
    profiles: Profiles, files: Path, use_keyring: Callable[[Any], Any]
) -> None:
    use_keyring(keyrings.Locked())
    assert profiles.save(PROD).keyring
    keeps = f'{files / "prod.json"} {URL}": Failed to unlock the collection!'
    kept = profiles.save(PROD.with_credential())
    assert profiles.load("prod").credential is None
    assert profiles.save(PROD).keyring
    left = profiles.delete("prod")
    assert kept.left == left == f"the system's keyring keeps the credential \"smply {keeps}"
    assert profiles.names() == ["local"]


@pytest.mark.parametrize(
    "new",
    [
        Profile("prod", "https://other.example", token="sbat_new"),
        Profile("prod", URL, key_id="sbk_1", secret="sbsec_new"),
    ],
)
def test_an_interrupt_leaves_no_file_with_the_credential_of_another(
    profiles: Profiles, files: Path, use_keyring: Callable[[Any], Any], new: Profile
) -> None:
    """Between the keyring and the file. A token never goes to another server."""
    ring = use_keyring(keyrings.Works())
    profiles.save(PROD)
    cut = use_keyring(keyrings.Interrupted())
    cut.kept = ring.kept
    with pytest.raises(KeyboardInterrupt):
        profiles.save(new)
    assert profiles.unlock(profiles.load("prod")).token == SECRET
    (files / "prod.json").write_text('{"url": "https://x.example", "keyring": true}')
    with pytest.raises(ProfileError, match="it is not there"):
        profiles.unlock(profiles.load("prod"))


def test_what_another_server_had_is_taken_out_of_the_keyring(
    profiles: Profiles, use_keyring: Callable[[Any], Any]
) -> None:
    ring = use_keyring(keyrings.Works())
    profiles.save(PROD)
    kept = profiles.save(Profile("prod", "https://other.example/", token="sbat_new"))
    assert (kept.left, list(ring.kept.values())) == (None, ["sbat_new"])
    assert profiles.unlock(profiles.load("prod")).token == "sbat_new"


@pytest.mark.parametrize("before", [PROD, None])
def test_a_new_credential_never_meets_the_old_file(
    profiles: Profiles, files: Path, use_keyring: Callable[[Any], Any], before: Profile | None
) -> None:
    """Its address may be another server's."""
    ring = use_keyring(keyrings.Works())
    if before is not None:
        profiles.save(before)
    kept = dict(ring.kept)
    (files / "prod.json").unlink(missing_ok=True)
    (files / "prod.json").mkdir(parents=True)
    with pytest.raises(ProfileError, match="cannot be used: Is a directory"):
        profiles.save(Profile("prod", "https://other.example", token="sbat_new"))
    assert ring.kept == kept


# Addresses.


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("http://127.0.0.1:8000/base//", "http://127.0.0.1:8000/base"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTPS://A.example", "HTTPS://A.example"),
        ("https://münchen.example", "https://münchen.example"),
    ],
)
def test_an_address_is_kept_without_its_slash(url: str, kept: str) -> None:
    assert checked_url(url, "--url") == kept


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "a.example:8000", "//a.example", "ftp://a", "https://", "https:///a",
        "https://a?b=c", "https://a/#b", "https://a b", "https://a\n", "https://a:x", "https://:80",
        "https://a:99999", "https://a\\b", "https://a/\x1b[31m", "https:// a", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--url is no address of a server"):
        checked_url(url, "--url")


@pytest.mark.parametrize("url", ["https://me:hush@a.example", "https://hush@a", "x://hush@a/b"])
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="has a user or a password in it") as told:
        checked_url(url, "--url")
    assert "hush" not in str(told.value)
