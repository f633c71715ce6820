"""An agent of several objectives leaves its Pareto set beside its policies."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from trading_assets.policy.fold import read_seeds
from trading_assets.policy.pareto import hypervolume, non_dominated
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of, ny, open_world

FOLD, NOW = "2022-07-01", ny("2022-10-04", "01:00")
MONTHS = ("2021-08-01", "2022-09-01")
REWARD = "reward: {kind: multi_objective, preference: {return: 0.5, variance: 0.3, turnover: 0.2}}"


def materialize(world: LiveWorld, names: Sequence[str], **where: Any) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetKey(world.key(name).split("/")) for name in names]
    job = world.repository(NOW).get_implicit_job_def_for_assets(keys)
    assert job is not None
    result = job.execute_in_process(
        instance=world.instance, asset_selection=keys, raise_on_error=False, **where
    )
    assert not failures_of(result)
    return result


def test_a_policy_of_several_objectives_is_stored_with_its_pareto_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = live_world.STRATEGY.replace("train_months: 6", "train_months: 9").replace(
        "uses_forecasts: false", f"uses_forecasts: false\n    {REWARD}"
    )
    monkeypatch.setattr(live_world, "STRATEGY", own)
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    with open_world(tmp_path) as world:
        materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
        materialize(world, ["features"], tags=months)
        result = materialize(world, ["forecaster", "forecasts", "policy/ppo"], partition_key=FOLD)
        blobs = world.lake.read_blobs("tiny/policy/ppo", FOLD)
    beside = {name for name in blobs if "/" not in name}
    assert beside == {"pareto.json", "pareto.png", "validation.json"}
    assert blobs["pareto.png"].startswith(b"\x89PNG")
    assert [policy.seed for policy in read_seeds(blobs)] == [0]
    found = json.loads(blobs["pareto.json"])
    assert found["objectives"] == ["return", "variance", "turnover"]
    points = np.array(found["points"])
    assert points.shape == np.array(found["preferences"]).shape == (15, 3)
    assert found["is_efficient"] == non_dominated(points).tolist()
    assert found["hypervolume"] == hypervolume(points, np.array(found["reference"]))
    # Somebody who is shown other weights trades otherwise.
    assert len(np.unique(points, axis=0)) == 15
    (event,) = result.asset_materializations_for_node("tiny__policy__ppo")
    assert event.metadata["hypervolume"].value == found["hypervolume"]
    table = str(event.metadata["pareto_set"].value).splitlines()
    assert len(table) == 17
    assert sum(line.endswith("| yes |") for line in table) == sum(found["is_efficient"])
    assert "data:image/png" in str(event.metadata["pareto"].value)
