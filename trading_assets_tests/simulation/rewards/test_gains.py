import numpy as np
import pytest

from trading_assets.simulation.compiled.layout import DIVIDENDS, PNL
from trading_assets.simulation.core import Books
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets_tests.simulation.rewards.tasks import MARKET, random_actions, task_paid


class Noting:
    """Pays nothing and keeps what it was shown."""

    needs = ()
    is_in_deviations = False

    def pay(self, bar, before, after):
        self.gain, self.outcome = bar.gain.copy(), bar.outcome.copy()
        self.net_return = bar.net_return
        return np.zeros(len(bar.outcome))


def worth_by_symbol(books: Books):
    return books.quantity[0] * books.price[0]


@pytest.mark.parametrize("sizing", ["equity", "constant_notional"])
def test_gains_of_positions_are_those_of_the_account(sizing):
    task = task_paid("mean_variance", sizing=sizing)
    noting = Noting()
    object.__setattr__(task, "reward", noting)
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([2]))
    seen = {"paid out": 0, "dividends": 0, "splits": 0, "no bar": 0}
    for row, action in enumerate(random_actions(110, 1), start=2):
        before = traded.books()
        weights = task.view.target_weights(action, traded.rows, traded.held)
        traded.trade(weights)
        result = traded.result()
        base = task.notional_usd or result.equity_before[0]
        bought = result.trade[0] * result.fill_price[0]
        paid = before.quantity[0] * MARKET.cash_per_share[row + 1]
        payout = MARKET.payout_per_share[row + 1]
        after_split = before.quantity[0] * MARKET.split_ratio[row + 1]
        paid = paid + np.where(np.isfinite(payout), after_split * payout, 0.0)
        expected = worth_by_symbol(result.books) - worth_by_symbol(before) - bought + paid
        np.testing.assert_allclose(noting.gain[0] * base, expected, atol=1e-4)
        whole = noting.outcome[0, PNL] + noting.outcome[0, DIVIDENDS]
        assert (noting.gain[0] * base).sum() == pytest.approx(whole, abs=1e-6)
        held = before.quantity[0] != 0.0
        seen["paid out"] += int((held & np.isfinite(payout)).sum())
        seen["dividends"] += int((held & (MARKET.cash_per_share[row + 1] > 0)).sum())
        seen["splits"] += int((held & (MARKET.split_ratio[row + 1] != 1)).sum())
        seen["no bar"] += int((held & ~np.isfinite(MARKET.open[row + 1])).sum())
    assert min(seen.values()) > 0, seen
