"""What makes a trained policy another trial than one of the same strategy's values."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import Lake, Trial, TrialReturns
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.made_with import MADE_WITH, made_with
from trading_assets.pipeline.trials import Trained, fold_trials
from trading_assets_tests.lake.samples import made_by, open_lake
from trading_assets_tests.pipeline.live_world import declare

FOLD, POLICY = "2022-07-01", "tiny/policy/ppo"
DAYS = np.datetime64("2022-07-01") + np.arange(3)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    return declare(tmp_path_factory.mktemp("made"))


def on_data(declared: Declared, **changes: Any) -> Declared:
    return replace(declared, market=declared.market.model_copy(update=changes))


def trial_of(lake: Lake, declared: Declared) -> Trial:
    """Train nothing, commit what a training would note, and return what is counted."""
    node = declared.node("policy/ppo")
    noted = {**node.depends_on, MADE_WITH: made_with(declared, node)}
    made = made_by(declaration_digest=node.declaration_digest, config=noted)
    write = PartitionWrite(POLICY, "policy", FOLD, blobs={"weights.bin": b"the same"})
    (record,) = lake.commit([write], made)
    return fold_trials(lake, declared, {"ppo": Trained(record, 1)})["ppo/ensemble"]


@pytest.mark.parametrize(
    "change",
    [
        {"universe": ("W1", "W2")},
        {"start": date(2021, 9, 1)},
        {"publication_lag_minutes": 20},
        {"bar_length": "1h"},
    ],
)
def test_another_data_set_under_the_same_name_is_another_trial_and_deletes_no_returns(
    tmp_path: Path, declared: Declared, change: dict[str, Any]
) -> None:
    lake = open_lake(tmp_path / "data")
    first, second = trial_of(lake, declared), trial_of(lake, on_data(declared, **change))
    for trial, earned in ((first, -0.01), (second, 0.01)):
        window = TrialReturns(f"test {FOLD}", DAYS, np.full(3, earned))
        assert lake.keep_trial_returns(trial, window)
    kept = [own.returns[0].returns[0] for own in lake.counted_trials("tiny_daily")]
    assert kept == [-0.01, 0.01]
    lake.close()


@pytest.mark.parametrize("change", [{}, {"end": date(2024, 1, 2)}, {"description": "other"}])
def test_a_data_set_that_goes_on_is_the_same(
    tmp_path: Path, declared: Declared, change: dict[str, Any]
) -> None:
    lake = open_lake(tmp_path / "data")
    assert trial_of(lake, declared) == trial_of(lake, on_data(declared, **change))
    lake.close()


@pytest.mark.parametrize("stage", ["bars", "features", "forecast", "policy"])
def test_code_of_each_stage_before_the_policy_makes_another_trial(
    tmp_path: Path, declared: Declared, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from trading_assets import asset_nodes

    lake, original = open_lake(tmp_path / "data"), asset_nodes.code_version
    before = trial_of(lake, declared)
    monkeypatch.setattr(
        asset_nodes, "code_version", lambda name: "edited" if name == stage else original(name)
    )
    assert trial_of(lake, declared).declaration_digest != before.declaration_digest
    lake.close()


def test_code_that_only_reports_makes_no_other_trial(
    tmp_path: Path, declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading_assets import asset_nodes

    lake, original = open_lake(tmp_path / "data"), asset_nodes.code_version
    before = trial_of(lake, declared)
    monkeypatch.setattr(
        asset_nodes, "code_version", lambda name: "edited" if name == "backtest" else original(name)
    )
    assert trial_of(lake, declared) == before
    lake.close()


def test_a_policy_that_noted_nothing_is_counted_by_its_declaration(
    tmp_path: Path, declared: Declared
) -> None:
    lake = open_lake(tmp_path / "data")
    write = PartitionWrite(POLICY, "policy", FOLD, blobs={"weights.bin": b"the same"})
    (record,) = lake.commit([write], made_by(config={"agent": {}}))
    trial = fold_trials(lake, declared, {"ppo": Trained(record, 1)})["ppo/ensemble"]
    assert trial.declaration_digest != trial_of(lake, declared).declaration_digest
    lake.close()


def test_own_modules_count_by_their_text_wherever_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: Declared
) -> None:
    for name in ("own_features_here", "own_agents_here", "own_source_here"):
        (tmp_path / f"{name}.py").write_text(f"# {name}\n")
    package = tmp_path / "own_package_here"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    node = declared.node("policy/ppo")
    values = {
        **node.depends_on,
        "features": {"module": "own_features_here", "names": ["module"]},
        "policy": {"modules": ["own_agents_here", "own_package_here"]},
        "series": [
            {"factory": "own_source_here:make"},
            {"model": "lexicon"},
            {"model": "gone_here.inner:score"},
        ],
    }
    own = replace(node, depends_on=values)
    found = made_with(declared, own)["modules"]
    assert found["gone_here.inner"] is None
    assert {name for name, digest in found.items() if digest} == {
        "own_agents_here",
        "own_features_here",
        "own_package_here",
        "own_source_here",
    }
    (package / "inner.py").write_text("x = 2\n")
    (tmp_path / "own_features_here.py").write_text("# other\n")
    again = made_with(declared, own)["modules"]
    assert {name for name in found if found[name] != again[name]} == {
        "own_features_here",
        "own_package_here",
    }
