"""Small panels of adjusted bars for tests of what may happen to prices."""

import numpy as np

from trading_assets.backtest.adjusted_bars import AdjustedBars

FIELDS = ("open", "high", "low", "close", "volume")


def make_panel(
    seed: int = 0, bars: int = 90, symbols: int = 4, first_row: int = 20, common: float = 0.4
) -> AdjustedBars:
    """Return random bars whose returns share a part, in USD and shares."""
    rng = np.random.default_rng(seed)
    size = (bars, symbols)
    shared = rng.normal(0.0004, 0.01, (bars, 1)) * common
    body = shared + rng.normal(0.0, 0.01, size)
    gap = rng.normal(0.0, 0.004, size)
    close = 40.0 * np.exp(np.cumsum(gap + body, axis=0))
    opened = close / np.exp(body)
    return AdjustedBars(
        sessions=np.datetime64("2020-01-01") + np.arange(bars),
        symbols=tuple(f"S{place}" for place in range(symbols)),
        first_row=first_row,
        open=opened,
        high=np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.003, size))),
        low=np.minimum(opened, close) / np.exp(np.abs(rng.normal(0, 0.003, size))),
        close=close,
        volume=rng.lognormal(13.0, 0.4, size),
    )


def without_bars(panel: AdjustedBars, *places: tuple[slice, int]) -> AdjustedBars:
    """Return a panel without the bars of some rows and columns."""
    fields = {name: getattr(panel, name).copy() for name in FIELDS}
    for rows, column in places:
        for values in fields.values():
            values[rows, column] = np.nan
    return AdjustedBars(panel.sessions, panel.symbols, panel.first_row, **fields)


def with_life(seed: int = 1) -> AdjustedBars:
    """Return a panel in which S1 is halted, S2 listed in mid-window and S3 delisted in it."""
    return without_bars(
        make_panel(seed),
        (slice(40, 44), 1),
        (slice(0, 50), 2),
        (slice(70, None), 3),
    )


def assert_alike(found: AdjustedBars, expected: AdjustedBars, rows: slice, rtol: float = 0.0):
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(found, name)[rows], getattr(expected, name)[rows], rtol=rtol, atol=0
        )


def assert_bars(panel: AdjustedBars):
    """Check that highs and lows hold opens and closes, and that all prices are above 0."""
    has_bar = np.isfinite(panel.close)
    for name in FIELDS:
        assert (np.isfinite(getattr(panel, name)) == has_bar).all()
    slack = 1.0 + 1e-12
    assert (panel.low[has_bar] > 0.0).all()
    top = np.maximum(panel.open, panel.close)[has_bar]
    bottom = np.minimum(panel.open, panel.close)[has_bar]
    assert (panel.high[has_bar] * slack >= top).all()
    assert (panel.low[has_bar] <= bottom * slack).all()
