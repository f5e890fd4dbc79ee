"""Settings: flag, environment, default."""

from __future__ import annotations

from pathlib import Path

from smply.config import color_wanted, load_config


def test_the_flag_goes_before_the_environment() -> None:
    environment = {"SMPLY_DATA_DIR": "/from/environment"}
    assert load_config(data_dir="flag", environment=environment).data_dir == Path("flag")
    assert load_config(environment=environment).data_dir == Path("/from/environment")


def test_an_empty_variable_is_none() -> None:
    environment = {"SMPLY_DATA_DIR": "", "SMPLY_CLOCK": "", "SMPLY_NETWORK": ""}
    config = load_config(environment=environment)
    assert config.data_dir.name == "smply"
    assert config.clock == "system"
    assert config.network == "public"
    assert load_config(environment={"SMPLY_NETWORK": "all"}).network == "all"


def test_no_color_is_respected() -> None:
    assert color_wanted({})
    assert not color_wanted({"NO_COLOR": "1"})
    assert not color_wanted({"TERM": "dumb"})
