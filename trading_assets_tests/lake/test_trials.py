from dataclasses import replace

from trading_assets.lake.records import Trial
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import NOW

TRIAL = Trial("us_daily", "us_equities", "ppo", "dec1", 3, {"discount": 0.95})


def test_a_trial_is_counted_once(lake: Lake) -> None:
    assert lake.register_trial(TRIAL)
    assert not lake.register_trial(TRIAL)
    assert lake.trial_count("us_daily") == 1


def test_another_declaration_agent_or_number_of_seeds_is_another_trial(lake: Lake) -> None:
    for trial in (
        TRIAL,
        replace(TRIAL, declaration_digest="dec2"),
        replace(TRIAL, agent="sac"),
        replace(TRIAL, seeds=5),
        replace(TRIAL, strategy="wider"),
    ):
        assert lake.register_trial(trial)
    assert lake.trial_count("us_daily") == 5


def test_trials_of_other_data_sets_do_not_count(lake: Lake) -> None:
    lake.register_trial(replace(TRIAL, data_set="known_optimum"))
    assert lake.trial_count("us_daily") == 0


def test_trials_come_back_with_configuration_and_time(lake: Lake) -> None:
    lake.register_trial(TRIAL)
    assert lake.trials("us_daily") == [replace(TRIAL, first_seen=NOW)]
