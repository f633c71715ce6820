"""Forecasts session by session, with what intervals go on from carried in between."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.predictions import CANDIDATES, CandidateName
from trading_assets.forecast.tables import ForecastTables
from trading_assets_tests.forecast.planted_market import (
    NAMES,
    SPEC,
    PlantedMarket,
    make_market,
    train,
)

LIMITS = ("interval_low", "interval_high", "prediction_set", "abstains")
PRICES = ("open", "high", "low", "close")


def with_gap(market: PlantedMarket, first: int, count: int) -> PlantedMarket:
    """Return the market in which BBB has no bars on so many test sessions."""
    missing = pl.lit(market.test[first : first + count]).list
    is_gap = (pl.col("symbol") == "BBB") & missing.contains(pl.col("session"))
    return replace(
        market, bars=market.bars.filter(~is_gap), features=market.features.filter(~is_gap)
    )


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    # Long enough that forecasts come true of sessions before the gap.
    return with_gap(make_market(0.6, count=400), 30, 14)


@pytest.fixture(scope="module", params=CANDIDATES)
def forecaster(market: PlantedMarket, request: pytest.FixtureRequest) -> Forecaster:
    served: CandidateName = request.param
    return train(market, [served], epochs=1)


@pytest.fixture(scope="module")
def logistic(market: PlantedMarket) -> Forecaster:
    return train(market, ["logistic"])


def known_at(market: PlantedMarket, session: date, n_sessions: int) -> ForecastTables:
    """Return what a decision reads: bars up to a session, features of its last sessions."""
    is_known = pl.col("session") <= session
    days = market.features.filter(is_known)["session"].unique().sort()[-n_sessions:]
    return ForecastTables(
        market.features.filter(pl.col("session").is_in(days.implode())),
        market.bars.filter(is_known),
        market.tables().actions,
    )


def on(table: pl.DataFrame, *sessions: date) -> pl.DataFrame:
    return table.filter(pl.col("session").is_in(list(sessions)))


def moved(market: PlantedMarket, is_moved: pl.Expr) -> ForecastTables:
    """Return the tables with other prices where `is_moved` holds."""
    factor = pl.Series(np.random.default_rng(1).uniform(0.8, 1.25, market.bars.height))
    bars = market.bars.with_columns(
        pl.when(is_moved).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in PRICES
    )
    return replace(market.tables(), bars=bars)


def test_stepping_on_what_is_known_equals_one_run(forecaster: Forecaster, market: PlantedMarket):
    whole = forecaster.forecast(market.tables(), market.test)
    n_sessions = forecaster.count_sessions(1)
    carried, parts = None, []
    for session in market.test:
        state = None if carried is None else ConformalState.from_json(carried)
        found = forecaster.forecast(known_at(market, session, n_sessions), [session], state)
        carried = found.state.to_json()
        parts.append(found.rows)
    assert pl.concat(parts).sort("symbol", "session").equals(whole.rows)
    assert carried == whole.state.to_json()
    assert whole.rows.height == 3 * len(market.test) - 14
    # Intervals did learn on the way.
    assert len({issued.quantile for issued in whole.state.issued}) > 3
    assert whole.state.interval_alpha != forecaster.start_state.interval_alpha


@pytest.mark.parametrize("cut", [1, 29, 41, 79])
def test_any_cut_gives_the_same_rows_and_state(
    forecaster: Forecaster, market: PlantedMarket, cut: int
):
    whole = forecaster.forecast(market.tables(), market.test)
    first = forecaster.forecast(market.tables(), market.test[:cut])
    second = forecaster.forecast(market.tables(), market.test[cut:], first.state)
    joined = pl.concat([first.rows, second.rows]).sort("symbol", "session")
    assert joined.equals(whole.rows)
    assert second.state == whole.state


@pytest.mark.parametrize("shown", [6, 30])
def test_shown_sessions_get_the_intervals_they_were_issued_with(
    forecaster: Forecaster, market: PlantedMarket, shown: int
):
    whole = forecaster.forecast(market.tables(), market.test)
    n_sessions = forecaster.count_sessions(shown)
    state = None
    for last in range(shown, len(market.test) + 1):
        asked = market.test[last - shown : last]
        known = known_at(market, asked[-1], n_sessions)
        found = forecaster.forecast(known, asked, state)
        state = ConformalState.from_json(found.state.to_json())
        assert found.rows.equals(on(whole.rows, *asked))
    assert state == whole.state


def test_a_session_alone_has_the_forecast_of_a_range_and_the_first_intervals(
    forecaster: Forecaster, market: PlantedMarket
):
    whole = forecaster.predict(market.tables(), market.test)
    n_sessions = forecaster.count_sessions(1)
    equal: list[bool] = []
    for session in market.test[::20]:
        alone = forecaster.predict(known_at(market, session, n_sessions), [session])
        own = on(whole, session)
        assert alone.drop(LIMITS).equals(own.drop(LIMITS))
        equal.append(alone.equals(own))
    assert equal[0]
    assert not all(equal)


def test_a_forecast_uses_no_later_feature(forecaster: Forecaster, market: PlantedMarket):
    session = market.test[10]
    changed = market.features.with_columns(
        pl.when(pl.col("session") > session)
        .then(-9.0)
        .otherwise(pl.col(name))
        .cast(pl.Float32)
        .alias(name)
        for name in NAMES
    )
    before = forecaster.predict(market.tables(), market.test)
    after = forecaster.predict(replace(market.tables(), features=changed), market.test)
    upto = pl.col("session") <= session
    assert after.filter(upto).equals(before.filter(upto))
    is_prior = forecaster.served == "prior"
    assert on(after, market.test[11]).equals(on(before, market.test[11])) == is_prior


def test_bars_after_a_close_change_nothing_of_its_rows(
    forecaster: Forecaster, market: PlantedMarket
):
    before = forecaster.predict(market.tables(), market.test)
    session = market.test[20]
    after = forecaster.predict(moved(market, pl.col("session") > session), market.test)
    upto = pl.col("session") <= session
    assert after.filter(upto).equals(before.filter(upto))
    # The next session's intervals have learned from the label that ended there.
    same = on(after, market.test[21]).drop(LIMITS)
    assert same.equals(on(before, market.test[21]).drop(LIMITS))
    column = "interval_low"
    assert (on(after, market.test[21])[column] != on(before, market.test[21])[column]).all()


def test_intervals_learn_at_the_close_at_which_a_label_ends(
    logistic: Forecaster, market: PlantedMarket
):
    before = logistic.predict(market.tables(), market.test)
    # The first forecast's label ends on the fourth session: what comes before teaches nothing.
    after = logistic.predict(moved(market, pl.col("session") == market.test[3]), market.test)
    changed = [day for day in market.test if not on(after, day).equals(on(before, day))]
    assert changed[0] == market.test[SPEC.horizon_bars]
    start = logistic.start_state
    before_it = logistic.forecast(market.tables(), market.test[: SPEC.horizon_bars]).state
    at_it = logistic.forecast(market.tables(), market.test[: SPEC.horizon_bars + 1]).state
    assert before_it.interval_alpha == start.interval_alpha
    assert before_it.interval_scores == start.interval_scores
    assert at_it.interval_alpha != start.interval_alpha
    assert at_it.interval_scores[-4] == start.interval_scores[-1]


def test_a_session_that_the_state_did_not_issue_is_refused(
    logistic: Forecaster, market: PlantedMarket
):
    late = logistic.forecast(market.tables(), market.test[40:50])
    with pytest.raises(DataError, match=f"of {market.test[39]} was not issued by the state of"):
        logistic.forecast(market.tables(), market.test[39:60], late.state)


def test_a_session_without_forecasts_changes_no_state(logistic: Forecaster, market: PlantedMarket):
    first = logistic.forecast(market.tables(), market.test[:5])
    none = market.features.with_columns(
        pl.when(pl.col("session") == market.test[5]).then(None).otherwise(pl.col(name)).alias(name)
        for name in NAMES
    )
    tables = replace(market.tables(), features=none)
    found = logistic.forecast(tables, [market.test[5]], first.state)
    assert found.rows.is_empty()
    assert found.state == first.state
    both = logistic.forecast(tables, market.test[5:9], first.state)
    after = logistic.forecast(tables, market.test[6:9], found.state)
    assert after.rows.equals(both.rows)


def test_forecasts_wait_under_the_names_that_companies_have_now(
    logistic: Forecaster, market: PlantedMarket
):
    state = logistic.forecast(market.tables(), market.test[:9]).state
    swapped = state.rename({"AAA": "CCC", "CCC": "AAA", "BBB": "ZZZ"})
    assert ConformalState.from_json(swapped.to_json()) == swapped
    for before, after in zip(state.issued, swapped.issued, strict=True):
        names = [each.symbol for each in after.waiting]
        assert names == (["AAA", "CCC", "ZZZ"] if before.waiting else [])
        values = {each.symbol: each.mean for each in before.waiting}
        for each in after.waiting:
            old = {"AAA": "CCC", "CCC": "AAA", "ZZZ": "BBB"}[each.symbol]
            assert each.mean == values[old]
    assert state.issued[-1].waiting != ()
    assert swapped.rename({"AAA": "CCC", "CCC": "AAA", "ZZZ": "BBB"}) == state


def test_a_forecast_that_never_comes_true_is_given_up_but_its_session_stays_known(
    logistic: Forecaster,
):
    gone = with_gap(make_market(0.6, count=400), 20, 60)
    early = logistic.forecast(gone.tables(), gone.test[:36]).state
    lost = {issued.session: [w.symbol for w in issued.waiting] for issued in early.issued}
    # Labels of three bars do not end where the bars do.
    assert [lost[day] for day in gone.test[15:21]] == [[], [], ["BBB"], ["BBB"], ["BBB"], []]
    late = logistic.forecast(gone.tables(), gone.test).state
    assert [issued.session for issued in late.issued] == gone.test
    assert not any(issued.waiting for issued in late.issued[:-3])
    assert late.issued[17].quantile == early.issued[17].quantile
    assert (late.issued[17].rows, late.issued[20].rows) == (3, 2)
