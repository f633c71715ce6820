"""Figures of tail risk: how often forecasts keep the promise they make, and one that does not.

Returns are GARCH(1,1) with Student's t of 6 degrees of freedom. Each method forecasts 1,000 days,
one at a time, from the 1,000 days before; Kupiec's test at 5 % says whether losses were beyond the
value at risk as often as promised.
"""

from trading_assets.tail_risk_specs import TailRiskMethod
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.risk.return_paths import exceedances_of, garch_returns, share_that_pass

SEEDS = 50
# The series whose exceedances are counted.
COUNTED_SEED = 100


def measure_tail_risks() -> None:
    """Keep the share of 50 series that Kupiec's test lets pass at 1 %, and counts of one series."""
    limits: dict[TailRiskMethod, float | None] = {
        "garch_filtered": 0.9,
        "ewma_filtered": 0.9,
        "gaussian": None,
        "historical": None,
    }
    for method, limit in limits.items():
        share = share_that_pass(method, SEEDS)
        keep(Figure(f"risk.kupiec_passed_{method}", share, "fraction", limit=limit))
    returns = garch_returns(COUNTED_SEED)
    for label, tail, most in (("1_pct", 0.01, 17), ("5_pct", 0.05, 64)):
        count = int(exceedances_of(returns, "garch_filtered", tail).sum())
        keep(Figure(f"risk.exceedances_{label}", count, "days", limit=most))


STAGES = {"tail_risk": measure_tail_risks}
