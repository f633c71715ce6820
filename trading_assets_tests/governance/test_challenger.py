"""A challenger that forecasts, judged beside a champion that does so too."""

from datetime import date

import polars as pl
import pytest
from pydantic import ValidationError

from trading_assets.features.compute import compute_features
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.governance.challenger import Challenger, ChallengerInputs, make_challenger
from trading_assets.market_data import MarketDataSpec
from trading_assets.strategy import Strategy
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS, NO_SERIES, make_bars

SYMBOLS = ("AAA", "BBB")
N_SESSIONS = 330


@pytest.fixture(scope="module")
def strategy() -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": "two_stocks",
            "features": {"names": ["log_return_1", "log_return_5"], "scale_bars": 20},
            "forecast": {
                "horizon_bars": 2,
                "window_bars": 10,
                "network": "small",
                "members": 1,
                "epochs": 1,
                "cross_fit_parts": 2,
            },
            "policy": {
                "agents": {"ppo": {"seeds": 2, "total_steps": 1024, "n_envs": 8, "n_steps": 32}},
                "observed_features": ["log_return_1"],
            },
            "folds": {"first": "2007-01-01"},
            "governance": {"challenger_sessions": 240, "validation_sessions": 40},
        }
    )


@pytest.fixture(scope="module")
def market_data() -> MarketDataSpec:
    return MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": SYMBOLS,
            "start": "2004-01-01",
            "end": "2006-12-29",
        }
    )


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return make_bars(SYMBOLS, N_SESSIONS, seed=5)


@pytest.fixture(scope="module")
def sessions(bars: pl.DataFrame) -> list[date]:
    return bars["session"].unique().sort().to_list()


def challenge(
    strategy: Strategy,
    market_data: MarketDataSpec,
    bars: pl.DataFrame,
    session: date,
    champion: Challenger | None = None,
) -> Challenger:
    known = bars.filter(pl.col("session") < session)
    days = known["session"].unique().sort().to_list()
    features = compute_features(known, NO_ACTIONS, NO_SERIES, strategy.features, days)
    files = champion.bundle.to_files() if champion else {}
    inputs = ChallengerInputs(known, NO_ACTIONS, NO_SERIES, features, files, lambda _: True)
    return make_challenger(inputs, session, strategy, market_data)


@pytest.fixture(scope="module")
def champion(
    strategy: Strategy, market_data: MarketDataSpec, bars: pl.DataFrame, sessions: list[date]
) -> Challenger:
    return challenge(strategy, market_data, bars, sessions[-30])


def test_a_challenger_that_forecasts_is_whole_and_judged(champion: Challenger):
    assert champion.problems == ()
    assert {"beats_champion"} < {gate.name for gate in champion.gates}
    assert champion.bundle.forecaster_files


@pytest.mark.parametrize("sessions_later", [1, 5, 29])
def test_the_champion_is_judged_soon_after_its_promotion(
    strategy: Strategy,
    market_data: MarketDataSpec,
    bars: pl.DataFrame,
    sessions: list[date],
    champion: Challenger,
    sessions_later: int,
    monkeypatch: pytest.MonkeyPatch,
):
    asked: list[tuple[date, date, date]] = []
    predict = Forecaster.predict

    def watch(self: Forecaster, tables: object, days: list[date]) -> pl.DataFrame:
        asked.append((self.trained_to, days[0], days[-1]))
        return predict(self, tables, days)

    monkeypatch.setattr(Forecaster, "predict", watch)
    session = sessions[sessions.index(sessions[-30]) + sessions_later]
    found = challenge(strategy, market_data, bars, session, champion)
    assert found.problems == ()
    trained_to = Forecaster.from_files(champion.bundle.forecaster_files).trained_to
    of_champion = [days for days in asked if days[0] == trained_to]
    assert len(of_champion) == 1
    _, first, last = of_champion[0]
    # All that it can say, from its first session on: its intervals go on from there.
    assert first == sessions[sessions.index(trained_to) + 1]
    assert first <= found.window.train_end
    assert last == found.window.test_end


def test_a_policy_is_shown_no_more_bars_than_its_bundle_can_forecast(strategy: Strategy):
    declared = strategy.model_dump()
    declared["policy"]["window_bars"] = 40
    assert Strategy.model_validate(declared).policy.window_bars == 40
    declared["policy"]["window_bars"] = 41
    with pytest.raises(ValidationError, match=r"window_bars was 41 with .*validation_sessions 40"):
        Strategy.model_validate(declared)
    declared["policy"]["uses_forecasts"] = False
    assert Strategy.model_validate(declared).policy.window_bars == 41
