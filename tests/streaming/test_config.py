"""Configurations: the shipped file says the defaults, and mistakes are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from roadmask.engines.errors import ConfigError
from roadmask.streaming.config import EngineConfig, RunConfig, load_config, overridden
from roadmask.streaming.segmentation import build_segmenter

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_file_states_the_defaults() -> None:
    assert load_config(ROOT / "configs" / "recorded.toml") == RunConfig()


def test_the_shipped_file_mentions_every_key() -> None:
    text = (ROOT / "configs" / "recorded.toml").read_text()
    for section in (RunConfig, *(type(getattr(RunConfig(), name)) for name in ("engine", "tracker", "store"))):
        for key in dataclasses.fields(section):
            assert f"\n{key.name} =" in text or f"\n# {key.name} =" in text or f"\n[{key.name}]" in text


def test_absent_keys_keep_their_defaults_and_given_ones_count(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('max_frames = 3\n[engine]\nclasses = ["car"]\nscore_min = 1\n[ignore]\nfront = "0,0 9,0 9,9"\n')
    config = load_config(path)
    assert config.max_frames == 3
    assert config.engine == EngineConfig(classes=("car",), score_min=1.0)
    assert config.ignore_region("front") is not None
    assert config.ignore_region("rear") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # misspelt keys: the nearest known one is named
        ("[engine]\nscore_mn = 0.3", "unknown key 'score_mn': did you mean 'score_min'"),
        ("[tracer]\n", "unknown key 'tracer': did you mean 'tracker'"),
        ("[store]\nxyz = 1", "unknown key 'xyz': known here: shard_mb"),
        # values of another type, or out of range
        ("[engine]\nscore_min = '0.3'", "expected float, got '0.3'"),
        ("[engine]\nprecision = 'half'", "half"),
        ("[engine]\nthreads = true", "expected int, got True for engine.threads"),
        ("[engine]\nclasses = 'car'", "expected a list of names, got 'car'"),
        ("[engine]\nthreads = 0", "at least 1 thread, got 0"),
        ("[engine]\nscore_min = 1.5", "between 0.05 and 1, got 1.5"),
        ("[engine]\ninput_size = '384'", "HEIGHTxWIDTH"),
        ("max_frames = 0", "max_frames of at least 1"),
        ("engine = 3", r"expected a table \[engine\]"),
        ("[ignore]\nfront = 'nowhere.png'", "neither a file nor a list"),
        # no TOML at all
        ("engine", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a configuration file, got .*mine.toml"):
        load_config(tmp_path / "mine.toml")


def test_only_what_is_given_overrides() -> None:
    assert overridden(RunConfig(), weights=None, score_min=0.3).engine == EngineConfig(score_min=0.3)


def test_a_precision_that_is_chosen_reaches_the_engine_and_the_store() -> None:
    chosen = overridden(RunConfig(), precision="fp32")
    assert chosen.describe()["engine"]["precision"] == "fp32"
    assert build_segmenter(chosen.engine).info.precision == "fp32"


def test_what_is_stored_by_default_is_what_was_stored_before_there_were_precisions() -> None:
    assert "precision" not in RunConfig().describe()["engine"]
