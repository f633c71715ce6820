import pytest

from trading_assets.agent_specs import PpoSpec
from trading_assets.policy import ablation as ablation_module
from trading_assets.policy.ablation import train_without_forecasts, without_forecasts
from trading_assets.policy.fold import TrainingTables, train_seeds
from trading_assets_tests.backtest.planted_forecasts import STRATEGY, lay_market, plant
from trading_assets_tests.policy.tasks import make_strategy

AGENT = PpoSpec(seeds=1, total_steps=1_024, n_envs=8, n_steps=32, batch_size=128, episode_bars=32)
ABLATED = {"ablation": "forecasts"}


def with_forecasts(tables, forecasts):
    return TrainingTables(tables.bars, tables.actions, tables.features, forecasts)


def test_only_what_forecasts_give_is_taken_away():
    strategy = make_strategy(policy={**ABLATED, "confidence_sizing": "twice_confidence"})
    blind = without_forecasts(strategy)
    changed = {
        name
        for name in type(strategy.policy).model_fields
        if getattr(blind.policy, name) != getattr(strategy.policy, name)
    }
    assert changed == {"uses_forecasts", "confidence_sizing", "ablation"}
    assert blind.policy.confidence_sizing == "none"
    assert blind.model_dump(exclude={"policy"}) == strategy.model_dump(exclude={"policy"})
    # What was taken away leaves a declaration that is allowed.
    assert type(strategy).model_validate(blind.model_dump()) == blind


def test_an_agent_without_forecasts_does_not_read_them(monkeypatch):
    planted = plant(0.5)
    lay_market(monkeypatch, planted)
    tables, others = planted.tables, plant(0.0, seed=1).tables.forecasts
    scrambled = with_forecasts(tables, tables.forecasts.with_columns(p_up=others["p_up"]))
    window = (planted.fold, STRATEGY, None, AGENT)
    blind, again = (train_without_forecasts(t, *window).to_files() for t in (tables, scrambled))
    assert again == blind
    shown, other = (train_seeds(t, *window).to_files() for t in (tables, scrambled))
    weights = "seed-0/weights.safetensors"
    assert other[weights] != shown[weights] != blind[weights]


def test_no_row_of_forecasts_is_handed_to_its_training(monkeypatch):
    given = []
    monkeypatch.setattr(ablation_module, "train_seeds", lambda tables, *_: given.append(tables))
    planted = plant(0.5)
    train_without_forecasts(planted.tables, planted.fold, STRATEGY, None, AGENT)
    assert given[0].forecasts.schema == planted.tables.forecasts.schema
    assert given[0].forecasts.is_empty()
    assert given[0].features.equals(planted.tables.features)


@pytest.mark.parametrize("rows", [0, 10])
def test_it_is_trained_as_an_agent_that_declares_no_forecasts(rows, monkeypatch):
    planted = plant(0.5)
    lay_market(monkeypatch, planted)
    policy = STRATEGY.policy.model_dump(exclude={"ablation"})
    bare = {**policy, "uses_forecasts": False, "confidence_sizing": "none"}
    declared = STRATEGY.model_validate({**STRATEGY.model_dump(), "policy": bare})
    given = with_forecasts(planted.tables, planted.tables.forecasts.head(rows))
    expected = train_seeds(given, planted.fold, declared, None, AGENT).to_files()
    found = train_without_forecasts(planted.tables, planted.fold, STRATEGY, None, AGENT)
    assert found.to_files() == expected


def test_tables_between_two_days_hold_no_other_day():
    planted = plant(0.5)
    first, last = planted.fold.test_start, planted.fold.test_end
    kept = planted.tables.between(first, last)
    for frame in (kept.bars, kept.features, kept.forecasts):
        assert frame["session"].unique().sort().to_list() == planted.test_days
    assert kept.actions.equals(planted.tables.actions)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"uses_forecasts": False}, "ablation was forecasts and uses_forecasts false; expected"),
        ({"observed_features": []}, "ablation was forecasts without observed_features; expected"),
        (
            {"reward": {"kind": "composite", "confidence_bonus": 0.1}},
            "reward composite pays for the confidence of forecasts; expected confidence_bonus 0",
        ),
        ({"ablation": "features"}, "'none' or 'forecasts'"),
    ],
)
def test_an_ablation_that_leaves_nothing_to_compare_is_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        make_strategy(policy={**ABLATED, **policy})


def test_no_ablation_is_declared_unless_asked_for():
    assert make_strategy().policy.ablation == "none"
    assert make_strategy(policy={"uses_forecasts": False}).policy.ablation == "none"
    unpaid = {"kind": "composite", "confidence_bonus": 0}
    assert make_strategy(policy={**ABLATED, "reward": unpaid}).policy.ablation == "forecasts"
