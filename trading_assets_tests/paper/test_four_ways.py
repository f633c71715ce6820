"""Training, both backtests and paper sessions come to the same equity."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from trading_assets.simulation import core
from trading_assets_tests.paper.fixtures import make_market, make_strategy
from trading_assets_tests.paper.four_ways import WAYS, equities, random_weights

CENT_USD = 0.01
LONG_SHORT = {
    "policy": {
        "agents": {"ppo": {}},
        "position": "long_short",
        "sizing": "constant_notional",
    },
    "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 25},
    "risk": {"max_weight": 1.0, "max_gross": 3.0, "max_order_notional_usd": 5_000_000},
}
CASES = {
    "impact": {},
    "whole shares and cents": {
        "costs": {"fee_bps": 1, "half_spread_bps": 2, "lot_shares": 1, "tick_usd": 0.01}
    },
    "a share of the volume": {"costs": {"fee_bps": 1, "max_participation": 0.002}},
    "long and short under a quadratic cost": LONG_SHORT,
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_four_ways_of_trading_agree_to_the_cent(tmp_path: Path, case: str, seed: int) -> None:
    # A session rounds its orders to lots before the open, so before a split of that day and not
    # after it: where lots are declared the market ends before its split.
    bars = 12 if case == "whole shares and cents" else 30
    strategy, market = make_strategy(**CASES[case]), make_market(bars, seed=seed)
    found = equities(tmp_path, market, strategy, random_weights(strategy, market, seed))
    assert tuple(found) == WAYS
    for one, other in combinations(WAYS, 2):
        np.testing.assert_allclose(found[one], found[other], rtol=0, atol=CENT_USD)
    # Far below a cent: what rounds is a micro-dollar a fill.
    spread = np.ptp(np.array(list(found.values())), axis=0)
    assert spread.max() < 1e-4


def test_on_a_split_day_a_session_differs_by_less_than_its_lots(tmp_path: Path) -> None:
    strategy, market = make_strategy(**CASES["whole shares and cents"]), make_market(13)
    found = equities(tmp_path, market, strategy, random_weights(strategy, market))
    last = [found[way][-1] for way in WAYS]
    # One lot of each symbol before a split of 2 for 1, each moving by less than a tenth a day.
    assert 0.0 < np.ptp(last) < 2 * 3 * 0.1 * float(np.nanmax(market.close))


def test_a_session_that_forgets_a_cost_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, market = make_strategy(), make_market(20)
    correct = core.step

    def free(books, target, bar, costs, **options):
        return correct(books, target, bar, costs.model_copy(update={"fee_bps": 0.0}), **options)

    monkeypatch.setattr("trading_assets.paper.simulated_broker.steps.step", free)
    found = equities(tmp_path, market, strategy, random_weights(strategy, market))
    gap = np.abs(found["paper sessions"] - found["event-driven backtest"]).max()
    assert gap > 1.0
