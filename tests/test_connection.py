"""Which server is asked, and as whom: every source against every other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from smply.config import Config
from smply.connection import Connection, Flags, Told, connect, keep_default_org, unlocked
from smply.errors import UsageError
from smply.profiles import Profile, ProfileError, Profiles

HERE, THERE = "https://here.example", "https://there.example"
VARIABLES = {
    "profile": "SMPLY_PROFILE", "url": "SMPLY_API_URL", "org": "SMPLY_ORG",
    "token": "SMPLY_ACCESS_TOKEN", "key_id": "SMPLY_KEY_ID", "secret": "SMPLY_SECRET_KEY",
}  # fmt: skip
CREDENTIAL = ("token", "key_id", "secret")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """`prod` has a token and is of HERE, `ci` a key, `bare` neither; none is in use."""
    config = Config(tmp_path / "data", "system", config_dir=tmp_path / "config")
    profiles = Profiles(config.config_dir)
    profiles.save(Profile("prod", HERE, org="org_prod", token="t_prod"))
    profiles.save(Profile("ci", HERE, org="org_ci", key_id="k_ci", secret="s_ci"))
    profiles.save(Profile("bare", HERE))
    return config


def shown(connection: Connection) -> dict[str, str]:
    """What is in force, each with who says so: `t_prod by profile prod`."""
    found = {name: getattr(connection, name) for name in ("url", "org", *CREDENTIAL)}
    return {name: f"{told.value} by {told.by}" for name, told in found.items() if told is not None}


def around(**values: str) -> dict[str, str]:
    return {VARIABLES[name]: value for name, value in values.items()}


# Flags over environment over profile.


@pytest.mark.parametrize("name", ["url", "org", "token"])
def test_a_flag_goes_before_a_variable_and_that_before_the_profile(
    config: Config, name: str
) -> None:
    Profiles(config.config_dir).use("prod")
    flag = {"url": "api_url", "token": "access_token"}.get(name, name)
    values = {"url": (THERE, "https://third.example")}.get(name, ("a", "b"))
    variables = around(**{name: values[1]})
    by_flag = connect(Flags(**{flag: values[0]}), config, variables)
    by_variable = connect(Flags(), config, variables)
    by_profile = connect(Flags(), config, {})
    assert [getattr(each, name) for each in (by_flag, by_variable, by_profile)] == [
        Told(values[0], f"--{flag.replace('_', '-')}"),
        Told(values[1], VARIABLES[name]),
        Told({"url": HERE, "org": "org_prod", "token": "t_prod"}[name], "profile prod"),
    ]


def test_a_key_of_the_environment_goes_before_the_profile_whole(config: Config) -> None:
    """Never the key of one with the secret of another."""
    variables = around(key_id="k", secret="s")
    for name in ("prod", "ci", "bare"):
        Profiles(config.config_dir).use(name)
        assert {
            key: value
            for key, value in shown(connect(Flags(), config, variables)).items()
            if key in CREDENTIAL
        } == {"key_id": "k by SMPLY_KEY_ID", "secret": "s by SMPLY_SECRET_KEY"}


def test_the_secret_of_the_environment_alone_is_refused(config: Config) -> None:
    """A profile that a flag names is used without it; `smply tokens generate` takes it."""
    Profiles(config.config_dir).use("ci")
    with pytest.raises(UsageError, match="SMPLY_SECRET_KEY is the secret of a key, and none is"):
        connect(Flags(), config, around(secret="s"))
    connection = connect(Flags(profile="ci"), config, around(secret="s"))
    assert connection.secret == Told("s_ci", "profile ci")
    assert shown(connect(Flags(profile="local"), config, around(secret="s"))) == {}


@pytest.mark.parametrize("name", ["prod", "ci"])
def test_a_profile_that_a_flag_names_goes_before_the_environment(config: Config, name: str) -> None:
    variables = around(url=HERE, org="org_env", token="t_env")
    connection = connect(Flags(profile=name), config, variables)
    own = connect(Flags(profile=name), config, {})
    assert shown(connection) == shown(own)
    assert connection.profile == Told(name, "--profile")
    assert connection.org == Told(f"org_{name}", f"profile {name}")


def test_what_such_a_profile_leaves_open_the_environment_says(config: Config) -> None:
    connection = connect(Flags(profile="bare"), config, around(org="org_env", token="t_env"))
    assert shown(connection) == {
        "url": f"{HERE} by profile bare",
        "org": "org_env by SMPLY_ORG",
        "token": "t_env by SMPLY_ACCESS_TOKEN",
    }


@pytest.mark.parametrize(
    ("flags", "variables", "in_use", "told"),
    [
        ({}, {}, None, ("local", "default")),
        ({}, {}, "prod", ("prod", "smply profile use")),
        ({}, {"profile": "ci"}, "prod", ("ci", "SMPLY_PROFILE")),
        ({"profile": "bare"}, {"profile": "ci"}, "prod", ("bare", "--profile")),
        ({"data_dir": "x"}, {"profile": "ci"}, "prod", ("local", "--data-dir")),
        ({"profile": "local"}, {"profile": "ci"}, "prod", ("local", "--profile")),
    ],
)
def test_the_profile_is_the_one_that_is_named_nearest(
    config: Config, flags: dict[str, str], variables: dict[str, str], in_use: str | None,
    told: tuple[str, str],
) -> None:  # fmt: skip
    if in_use is not None:
        Profiles(config.config_dir).use(in_use)
    assert connect(Flags(**flags), config, around(**variables)).profile == Told(*told)


def test_an_empty_variable_says_nothing(config: Config) -> None:
    Profiles(config.config_dir).use("prod")
    said = connect(Flags(), config, dict.fromkeys(VARIABLES.values(), ""))
    assert shown(said) == shown(connect(Flags(), config, {}))


# All of it at once, against a model.

_given = {
    "flags": st.fixed_dictionaries(
        {},
        optional={
            "api_url": st.sampled_from([HERE, THERE]), "org": st.just("org_flag"),
            "access_token": st.just("t_flag"), "profile": st.sampled_from(["prod", "ci", "bare"]),
        },
    ),
    "variables": st.fixed_dictionaries(
        {},
        optional={
            "url": st.sampled_from([HERE, THERE]), "org": st.just("org_env"),
            "token": st.just("t_env"), "profile": st.sampled_from(["prod", "ci", "bare", "local"]),
        },
    ),
    "in_use": st.sampled_from([None, "prod", "ci", "bare"]),
}  # fmt: skip

_OWN: dict[str, dict[str, str]] = {
    "prod": {"url": HERE, "org": "org_prod", "token": "t_prod"},
    "ci": {"url": HERE, "org": "org_ci", "key_id": "k_ci", "secret": "s_ci"},
    "bare": {"url": HERE},
    "local": {},
}


def model(
    flags: dict[str, str], variables: dict[str, str], in_use: str | None
) -> dict[str, str] | None:
    """What is in force, by the words of the README; None where it is refused."""
    name = flags.get("profile") or variables.get("profile") or in_use or "local"
    given = {"url": "api_url", "token": "access_token", "org": "org"}
    first = {ours: flags[theirs] for ours, theirs in given.items() if theirs in flags}
    environment = {key: value for key, value in variables.items() if key != "profile"}
    rest = [environment, _OWN[name]] if "profile" not in flags else [_OWN[name], environment]
    sources = [first, *rest]
    url = next((source["url"] for source in sources if "url" in source), None)
    sources = [source for source in sources if source.get("url", url) == url]
    found = {} if url is None else {"url": url}
    for source in reversed(sources):
        found |= {"org": source["org"]} if "org" in source else {}
    credential = next((each for each in sources if each.keys() & {"token", "key_id"}), {})
    found |= {key: credential[key] for key in CREDENTIAL if key in credential}
    return None if url is None and credential else found


@hypothesis.given(**_given)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_mixture_is_what_the_manual_says(
    config: Config, flags: dict[str, str], variables: dict[str, str], in_use: str | None
) -> None:
    Profiles(config.config_dir).use(in_use or "local")
    expected = model(flags, variables, in_use)
    if expected is None:
        with pytest.raises(UsageError, match="is for a server, and none is named"):
            connect(Flags(**flags), config, around(**variables))
        return
    found = connect(Flags(**flags), config, around(**variables))
    told = {name: getattr(found, name) for name in ("url", "org", *CREDENTIAL)}
    assert {name: each.value for name, each in told.items() if each} == expected
    for name, each in told.items():
        if each is not None:
            assert each.by == by_of(each.value, name, flags, found)


def by_of(value: str, name: str, flags: dict[str, str], found: Connection) -> str:
    """Who must have said a value: they all say different ones, but for the addresses."""
    flag = {"url": "api_url", "token": "access_token", "org": "org"}.get(name)
    if flag is not None and flags.get(flag) == value:
        return f"--{flag.replace('_', '-')}"
    if value.endswith("_env"):
        return VARIABLES[name]
    profile = f"profile {found.profile.value}"
    if name == "url":
        told = found.url
        assert told is not None
        return told.by if told.by in (VARIABLES["url"], profile) else "nobody"
    return profile


# A credential goes to its own server.


@pytest.mark.parametrize("name", ["prod", "ci"])
@pytest.mark.parametrize("how", ["flag", "variable"])
def test_what_a_profile_has_goes_to_no_other_server(config: Config, name: str, how: str) -> None:
    Profiles(config.config_dir).use(name)
    flags = Flags(api_url=THERE) if how == "flag" else Flags()
    variables = {} if how == "flag" else around(url=THERE)
    connection = connect(flags, config, variables)
    assert (connection.server, connection.credential, connection.org) == (THERE, None, None)
    assert not connection.at_home


@pytest.mark.parametrize("flags", [Flags(api_url=THERE), Flags(profile="bare")])
def test_what_the_environment_has_for_a_server_goes_to_no_other(
    config: Config, flags: Flags
) -> None:
    third = around(url="https://third.example", token="t_env", org="org_env")
    connection = connect(flags, config, third)
    assert (connection.credential, connection.org) == (None, None)


def test_the_same_server_by_another_spelling_is_at_home(config: Config) -> None:
    Profiles(config.config_dir).use("prod")
    connection = connect(Flags(api_url=f"{HERE}/"), config, {})
    assert connection.at_home
    assert connection.token == Told("t_prod", "profile prod")


def test_a_path_before_the_api_is_another_server(config: Config) -> None:
    Profiles(config.config_dir).use("prod")
    assert connect(Flags(api_url=f"{HERE}/other"), config, {}).credential is None


def test_what_is_in_a_keyring_is_fetched_for_its_own_server_alone(config: Config) -> None:
    """Nothing asks a locked one in vain."""
    (config.config_dir / "profiles" / "prod.json").write_text(
        f'{{"url": "{HERE}", "keyring": true}}'
    )
    Profiles(config.config_dir).use("prod")
    other = connect(Flags(api_url=THERE, access_token="t"), config, {})
    assert unlocked(other, config) is other
    own = connect(Flags(), config, {})
    assert own.credential == Told("", "profile prod")
    with pytest.raises(ProfileError, match="is in the system's keyring"):
        unlocked(own, config)


# What contradicts itself.

REFUSED: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({"api_url": HERE, "access_token": ""}, {}, "--access-token is empty"),
    ({}, {"token": "t", "key_id": "k", "secret": "s", "url": HERE},
     "SMPLY_ACCESS_TOKEN and SMPLY_KEY_ID are two credentials"),
    ({}, {"key_id": "k", "url": HERE}, "SMPLY_KEY_ID names a key without its secret"),
    ({"access_token": "t"}, {}, "--access-token is for a server, and none is named"),
    ({"profile": "local", "access_token": "t"}, {}, "--access-token is for a server"),
    ({}, {"token": "t"}, "SMPLY_ACCESS_TOKEN is for a server, and none is named"),
    ({}, {"key_id": "k", "secret": "s"}, "SMPLY_KEY_ID is for a server, and none is named"),
    ({"data_dir": "x", "api_url": HERE}, {}, "--data-dir is for this machine, and --api-url names"),
    ({"data_dir": "x", "profile": "prod"}, {}, "--data-dir is for this machine, and profile prod"),
    ({"profile": "nowhere"}, {}, "there is no profile nowhere"),
    ({"profile": ""}, {}, '"" is no name of a profile'),
    ({"profile": "../prod"}, {}, '"../prod" is no name of a profile'),
    ({"api_url": "a.example"}, {}, "--api-url is no address of a server: a.example"),
    ({}, {"url": "https://a?b"}, "SMPLY_API_URL is no address of a server: https://a?b"),
    ({}, {"url": "https://me:hush@a"}, "SMPLY_API_URL has a user or a password in it"),
    ({"api_url": HERE, "access_token": "t\u00f6"}, {}, "--access-token is not one line of ASCII"),
    ({"api_url": HERE, "access_token": "a\nb"}, {}, "--access-token is not one line of ASCII"),
    ({"api_url": HERE}, {"token": "t", "org": "\u00f6"}, "SMPLY_ORG is not one line of ASCII"),
    ({"api_url": HERE}, {"key_id": "\u00f6", "secret": "s"}, "SMPLY_KEY_ID is not one line"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "variables", "sentence"), REFUSED)
def test_what_contradicts_itself_is_refused(
    config: Config, flags: dict[str, str], variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError) as told:
        connect(Flags(**flags), config, around(**variables))
    assert told.value.message.startswith(sentence)
    assert "hush" not in f"{told.value.message}{told.value.hint}"


def test_a_token_and_a_key_of_different_sources_are_no_contradiction(config: Config) -> None:
    variables = around(key_id="k", secret="s")
    found = shown(connect(Flags(api_url=HERE, access_token="t"), config, variables))
    assert found == {"url": f"{HERE} by --api-url", "token": "t by --access-token"}


def test_local_leaves_the_environment_aside(config: Config) -> None:
    everything = around(url=HERE, org="o", token="t")
    for flags in (Flags(profile="local"), Flags(data_dir="x")):
        connection = connect(flags, config, everything)
        assert (connection.is_local, shown(connection)) == (True, {})


def test_the_default_org_of_a_data_directory_is_for_this_machine_alone(config: Config) -> None:
    keep_default_org(config.data_dir, "org_kept")
    kept = Told("org_kept", str(config.data_dir / "default-org"))
    assert connect(Flags(), config, {}).org == kept
    assert connect(Flags(profile="bare"), config, {}).org is None
    assert connect(Flags(org="org_flag"), config, {}).org == Told("org_flag", "--org")


def test_a_default_org_with_a_newline_is_trimmed(config: Config) -> None:
    """F25."""
    keep_default_org(config.data_dir, "org_kept\n")
    org = connect(Flags(), config, {}).org
    assert org is not None
    assert org.value == "org_kept"


def test_all_flags_of_a_connection_are_tried_here() -> None:
    """A new one must find its place in the model above."""
    assert sorted(asdict(Flags())) == ["access_token", "api_url", "data_dir", "org", "profile"]
