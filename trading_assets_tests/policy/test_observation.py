import json

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.policy.decision_rules import (
    FORECAST_INPUTS,
    DecisionRules,
    declared_rules,
)
from trading_assets.policy.observation import (
    PolicyView,
    build_context,
    build_observation,
    raw_weights,
    shown_confidence,
)
from trading_assets.policy.rollout import build_task
from trading_assets_tests.policy.tasks import (
    SYMBOLS,
    make_strategy,
    make_tables,
    no_forecasts,
    random_market,
)

MARKET = random_market(60)
# Two features, six inputs of a forecast and a mask.
WIDTH = 9
FORECAST_COLUMNS = (
    "p_down",
    "p_flat",
    "p_up",
    "expected_return",
    "sigma_return",
    "sigma_noise",
    "sigma_expected_return",
    "interval_low",
    "interval_high",
)


def context_of(strategy, features, forecasts):
    rules = declared_rules(strategy, SYMBOLS)
    return rules, build_context(features, forecasts, rules, MARKET.sessions, MARKET.tradable)


def test_a_context_lists_symbol_after_symbol_features_forecasts_and_mask():
    features, forecasts = make_tables(MARKET)
    _, context = context_of(make_strategy(), features, forecasts)
    row = context[30].reshape(3, WIDTH)
    for k, symbol in enumerate(SYMBOLS):
        at = (features["symbol"] == symbol) & (features["session"] == MARKET.sessions[30].item())
        known = features.filter(at).row(0, named=True)
        said = forecasts.filter(at).row(0, named=True)
        expected = [known["momentum"], known["reversal"], *shown(known, said), 1.0]
        np.testing.assert_allclose(row[k], expected, rtol=1e-5, atol=1e-6)


def shown(known, said):
    """Return the inputs of one forecast, in plain arithmetic."""
    probabilities = np.array([said["p_down"], said["p_flat"], said["p_up"]], dtype=float)
    entropy = -(probabilities * np.log(probabilities)).sum()
    sigma, width = said["sigma_return"], said["interval_high"] - said["interval_low"]
    return [
        4.0 * (said["p_up"] - said["p_down"]),
        10.0 * (1.0 - entropy / np.log(3.0)),
        4.0 * said["expected_return"] / sigma,
        4.0 * said["sigma_expected_return"] / sigma,
        np.log(said["sigma_noise"] / known["volatility_1d"]),
        width / (2.0 * sigma) - 1.645,
    ]


def test_forecast_inputs_have_a_meaning_of_their_own():
    features, forecasts = make_tables(MARKET)
    day = MARKET.sessions[40].item()
    # As a normal variable: no direction, equal classes, an interval of 90 %.
    usual = {
        "p_down": 1 / 3,
        "p_flat": 1 / 3,
        "p_up": 1 / 3,
        "expected_return": 0.0,
        "sigma_return": 0.04,
        "sigma_noise": 0.02,
        "sigma_expected_return": 0.0,
        "interval_low": -1.645 * 0.04,
        "interval_high": 1.645 * 0.04,
    }
    # A sure rise, a tenth of the deviation known to a fortieth, in a wide interval.
    sure = usual | {
        "p_down": 0.0,
        "p_flat": 0.0,
        "p_up": 1.0,
        "expected_return": 0.004,
        "sigma_expected_return": 0.001,
        "sigma_noise": 0.04,
        "interval_low": -0.08,
        "interval_high": 0.088,
    }
    for values, expected in (
        (usual, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (sure, [4.0, 5.0, 0.4, 0.1, np.log(2.0), 2.1 - 1.645]),
    ):
        table = forecasts.with_columns(
            pl.when(pl.col("session") == day)
            .then(value)
            .otherwise(pl.col(name))
            .cast(pl.Float32)
            .alias(name)
            for name, value in values.items()
        )
        _, context = context_of(make_strategy(), features, table)
        found = context[40].reshape(3, WIDTH)[:, 2:-1]
        np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=1e-5)


def test_forecast_inputs_are_named_in_the_order_in_which_they_are_shown():
    assert FORECAST_INPUTS == (
        "edge",
        "certainty",
        "expected_return_over_sigma",
        "error_over_sigma",
        "noise_over_volatility",
        "interval_over_sigma",
    )
    rules = declared_rules(make_strategy(), SYMBOLS)
    assert rules.n_symbol_inputs == WIDTH
    _, context = context_of(make_strategy(), *make_tables(MARKET))
    edge = context.reshape(60, 3, WIDTH)[..., 2] / 4.0
    np.testing.assert_allclose(shown_confidence(context, rules), edge, rtol=1e-6)


def test_inputs_of_a_wild_forecast_are_clipped():
    features, forecasts = make_tables(MARKET)
    wild = forecasts.with_columns(
        (pl.col(name) * factor).cast(pl.Float32).alias(name)
        for name, factor in {
            "expected_return": 1e3,
            "sigma_expected_return": 1e3,
            "sigma_noise": 1e-6,
            "interval_high": 1e3,
        }.items()
    )
    _, context = context_of(make_strategy(), features, wild)
    found = context.reshape(60, 3, WIDTH)[..., 4:-1]
    assert np.abs(found).max() == 5.0
    assert (found[..., 2] == -5.0).all()


@pytest.mark.parametrize("column", FORECAST_COLUMNS)
def test_a_symbol_whose_forecast_is_missing_or_broken_is_masked(column):
    features, forecasts = make_tables(MARKET)
    day = MARKET.sessions[30].item()
    is_one = (pl.col("symbol") == "B") & (pl.col("session") == day)
    broken = forecasts.with_columns(
        pl.when(is_one).then(None).otherwise(pl.col(column)).alias(column)
    )
    _, whole = context_of(make_strategy(), features, forecasts)
    for table in (broken, forecasts.filter(~is_one)):
        _, context = context_of(make_strategy(), features, table)
        assert np.isfinite(context).all()
        found = context[30].reshape(3, WIDTH)
        np.testing.assert_array_equal(found[:, -1], [1.0, 0.0, 1.0])
        changed = np.flatnonzero((context != whole).any(axis=1))
        assert changed.tolist() == [30]
    # Without a row nothing is shown at all.
    np.testing.assert_array_equal(found[1, 2:], 0.0)


def test_a_symbol_without_a_volatility_shows_no_forecast():
    features, _ = make_tables(MARKET)
    gone = features.with_columns(
        pl.when(pl.col("symbol") == "B")
        .then(None)
        .otherwise("volatility_1d")
        .alias("volatility_1d")
    )
    _, context = context_of(make_strategy(), gone, no_forecasts())
    assert np.isfinite(context).all()
    assert (context.reshape(60, 3, WIDTH)[:, 1, 2:] == 0.0).all()


def test_a_null_becomes_zero_beside_a_mask_of_zero():
    features, forecasts = make_tables(MARKET)
    nulls = features.filter(features["momentum"].is_null())
    assert len(nulls) > 0
    symbol, session = nulls.row(0)[:2]
    _, context = context_of(make_strategy(), features, forecasts)
    row = int(np.searchsorted(MARKET.sessions, np.datetime64(session)))
    inputs = context[row].reshape(3, WIDTH)[SYMBOLS.index(symbol)]
    assert inputs[0] == 0.0
    assert inputs[-1] == 0.0
    assert np.isfinite(context).all()


def test_without_forecasts_or_sessions_everything_is_masked():
    features, _ = make_tables(MARKET)
    rules, context = context_of(make_strategy(), features, no_forecasts())
    assert (context.reshape(60, 3, WIDTH)[..., 2:] == 0.0).all()
    blind = DecisionRules(SYMBOLS, ("momentum",), False, "equity", rules.limits)
    seen = build_context(features, no_forecasts(), blind, MARKET.sessions, MARKET.tradable)
    assert seen.shape == (60, 6)


def test_an_observation_ends_with_scaled_weights_and_the_cash_share():
    rules, context = context_of(make_strategy(), *make_tables(MARKET))
    held = np.array([[0.1, 0.2, 0.3]])
    seen = build_observation(context[:1], held, rules)
    assert seen.dtype == np.float32
    assert seen.shape == (1, rules.n_inputs)
    np.testing.assert_allclose(seen[0, -4:], [0.2, 0.4, 0.6, 0.4], rtol=1e-6)


def test_constant_notional_books_have_no_cash_share():
    strategy = make_strategy(policy={"sizing": "constant_notional", "position": "long_short"})
    rules, context = context_of(strategy, *make_tables(MARKET))
    seen = build_observation(context[:1], np.array([[0.1, -0.2, 0.3]]), rules)
    assert seen.shape == (1, rules.n_inputs)
    np.testing.assert_allclose(seen[0, -3:], [0.8, -1.6, 2.4], rtol=1e-6)


def test_a_feature_that_is_not_computed_is_named():
    features, forecasts = make_tables(MARKET)
    strategy = make_strategy(policy={"observed_features": ["signal"]})
    with pytest.raises(DataError, match=r"signal.*features\.names"):
        context_of(strategy, features, forecasts)


@pytest.mark.parametrize(
    ("position", "expected"), [("long_only", [0.0, 0.25, 0.5]), ("long_short", [-0.5, 0.0, 0.5])]
)
def test_actions_span_what_the_declaration_allows(position, expected):
    rules = declared_rules(make_strategy(policy={"position": position}), SYMBOLS)
    np.testing.assert_allclose(raw_weights(np.array([[-2.0, 0.0, 1.0]]), rules)[0], expected)


def test_weights_of_a_view_keep_the_limits_and_the_mask():
    strategy = make_strategy(policy={"confidence_sizing": "none"})
    task = build_task(MARKET, *make_tables(MARKET), strategy)
    rows = np.array([0, 30])
    weights = task.view.target_weights(np.ones((2, 3)), rows, np.zeros((2, 3)))
    np.testing.assert_array_equal(weights[0], np.zeros(3))
    np.testing.assert_allclose(weights[1], np.full(3, 0.3))


def test_rules_survive_their_card():
    rules = declared_rules(make_strategy(), SYMBOLS)
    assert DecisionRules.from_card(rules.to_card()) == rules
    card = rules.to_card()
    del card["sizing"]
    with pytest.raises(DataError, match="train again"):
        DecisionRules.from_card(card)


def test_rules_with_every_limit_survive_their_card_as_json():
    risk = {
        "min_net": 0.1,
        "max_net": 0.5,
        "max_sector_gross": 0.3,
        "max_turnover": 0.2,
        "sectors": {"A": "one", "B": "one"},
    }
    rules = declared_rules(make_strategy(risk=risk), SYMBOLS)
    assert rules.limits.sectors == (0, 0, 1)
    card = json.loads(json.dumps(rules.to_card()))
    assert DecisionRules.from_card(card) == rules
    assert hash(DecisionRules.from_card(card).limits) == hash(rules.limits)
    # A card of a time before limits on turnover.
    del card["limits"]["max_turnover"]
    with pytest.raises(DataError, match=r"max_turnover; expected .* train again"):
        DecisionRules.from_card(card)


def test_a_card_names_a_rebalance_rule_only_where_it_holds_something_back():
    assert "rebalance" not in declared_rules(make_strategy(), SYMBOLS).to_card()
    for rule in ("weekly", {"kind": "no_trade_band", "band": 0.02, "trade_to": "edge"}):
        rules = declared_rules(make_strategy(rebalance=rule), SYMBOLS)
        card = json.loads(json.dumps(rules.to_card()))
        assert card["rebalance"]["kind"] == rules.rebalance.kind
        again = DecisionRules.from_card(card)
        assert again == rules
        assert again.to_card() == rules.to_card()
        for wrong in ({"kind": "monthly"}, {**card["rebalance"], "more": 1}, None):
            with pytest.raises(DataError, match="train again"):
                DecisionRules.from_card({**card, "rebalance": wrong})


def test_a_view_that_rebalances_weekly_needs_to_know_weeks():
    rules = declared_rules(make_strategy(rebalance="weekly"), SYMBOLS)
    with pytest.raises(DataError, match="begins_week was missing under rebalance weekly"):
        PolicyView(rules, np.zeros((3, 1), np.float32), np.ones((3, 3), bool))


@pytest.mark.parametrize("turnover", [None, 0.2])
def test_a_weekly_view_trades_on_the_eve_of_a_week_alone(turnover):
    strategy = make_strategy(rebalance="weekly", risk={"max_turnover": turnover})
    task = build_task(MARKET, *make_tables(MARKET), strategy)
    plain = build_task(MARKET, *make_tables(MARKET), make_strategy(risk={"max_turnover": turnover}))
    rows = np.arange(30, 44)
    held = np.tile([0.1, 0.2, 0.15], (len(rows), 1))
    actions = np.random.default_rng(0).uniform(-1, 1, held.shape)
    found = task.view.target_weights(actions, rows, held)
    wanted = plain.view.target_weights(actions, rows, held)
    weeks = [day.isocalendar()[:2] for day in MARKET.sessions.astype(object)]
    begins = np.array([weeks[row + 1] != weeks[row] for row in rows])
    assert 0 < begins.sum() < len(rows)
    np.testing.assert_array_equal(found[begins], wanted[begins])
    is_tradable = MARKET.tradable[rows]
    kept = np.where(is_tradable, held, 0.0)
    np.testing.assert_array_equal(found[~begins], kept[~begins])
    np.testing.assert_array_equal(task.view.limit(wanted, rows, held), wanted)


def test_a_view_needs_what_is_held_where_turnover_is_limited():
    task = build_task(MARKET, *make_tables(MARKET), make_strategy(risk={"max_turnover": 0.2}))
    rows, held = np.array([30, 31]), np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]])
    weights = task.view.target_weights(np.ones((2, 3)), rows, held)
    assert (np.abs(weights - held).sum(axis=1) <= 0.2 + 1e-12).all()
