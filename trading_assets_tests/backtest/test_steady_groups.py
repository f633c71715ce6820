import numpy as np
import polars as pl

from trading_assets.backtest.steady_groups import sum_groups


def test_sums_have_the_same_bits_in_every_run():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"key": rng.integers(0, 30, 100_000), "value": rng.normal(size=100_000)})
    seen = {
        sum_groups(frame, ["key"], {"total": pl.col("value")})["total"].to_numpy().tobytes()
        for _ in range(100)
    }
    assert len(seen) == 1


def test_sums_are_those_of_their_groups_in_the_order_of_first_rows():
    frame = pl.DataFrame({"key": ["b", "a", "b"], "value": [1.0, 2.0, -4.0]})
    found = sum_groups(frame, ["key"], {"total": pl.col("value").abs(), "net": pl.col("value")})
    assert found.rows() == [("b", 5.0, -3.0), ("a", 2.0, 2.0)]


def test_nothing_gives_nothing():
    frame = pl.DataFrame({"key": ["a"], "value": [1.0]}).clear()
    assert sum_groups(frame, ["key"], {"total": pl.col("value")}).is_empty()
