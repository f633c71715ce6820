import json

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.policy.decision_rules import DecisionRules, declared_rules
from trading_assets.policy.observation import build_context, build_observation, raw_weights
from trading_assets.policy.rollout import build_task
from trading_assets_tests.policy.tasks import (
    SYMBOLS,
    make_strategy,
    make_tables,
    no_forecasts,
    random_market,
)

MARKET = random_market(60)


def context_of(strategy, features, forecasts):
    rules = declared_rules(strategy, SYMBOLS)
    return rules, build_context(features, forecasts, rules, MARKET.sessions, MARKET.tradable)


def test_a_context_lists_symbol_after_symbol_features_forecasts_and_mask():
    features, forecasts = make_tables(MARKET)
    _, context = context_of(make_strategy(), features, forecasts)
    row = context[30].reshape(3, 6)
    for k, symbol in enumerate(SYMBOLS):
        at = (features["symbol"] == symbol) & (features["session"] == MARKET.sessions[30].item())
        known = features.filter(at).row(0, named=True)
        said = forecasts.filter(at).row(0, named=True)
        probabilities = np.array([said["p_down"], said["p_flat"], said["p_up"]], dtype=float)
        entropy = -(probabilities * np.log(probabilities)).sum()
        expected = [
            known["momentum"],
            known["reversal"],
            4.0 * (said["p_up"] - said["p_down"]),
            10.0 * (1.0 - entropy / np.log(3.0)),
            4.0 * said["expected_return"] / said["sigma_return"],
            1.0,
        ]
        np.testing.assert_allclose(row[k], expected, rtol=1e-5)


def test_a_null_becomes_zero_beside_a_mask_of_zero():
    features, forecasts = make_tables(MARKET)
    nulls = features.filter(features["momentum"].is_null())
    assert len(nulls) > 0
    symbol, session = nulls.row(0)[:2]
    _, context = context_of(make_strategy(), features, forecasts)
    row = int(np.searchsorted(MARKET.sessions, np.datetime64(session)))
    inputs = context[row].reshape(3, 6)[SYMBOLS.index(symbol)]
    assert inputs[0] == 0.0
    assert inputs[-1] == 0.0
    assert np.isfinite(context).all()


def test_without_forecasts_or_sessions_everything_is_masked():
    features, _ = make_tables(MARKET)
    rules, context = context_of(make_strategy(), features, no_forecasts())
    assert (context.reshape(60, 3, 6)[..., -1] == 0.0).all()
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
    task = build_task(MARKET, *make_tables(MARKET), make_strategy())
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
    with pytest.raises(DataError, match=r"max_turnover; train again"):
        DecisionRules.from_card(card)


def test_a_view_needs_what_is_held_where_turnover_is_limited():
    task = build_task(MARKET, *make_tables(MARKET), make_strategy(risk={"max_turnover": 0.2}))
    rows, held = np.array([30, 31]), np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]])
    weights = task.view.target_weights(np.ones((2, 3)), rows, held)
    assert (np.abs(weights - held).sum(axis=1) <= 0.2 + 1e-12).all()
