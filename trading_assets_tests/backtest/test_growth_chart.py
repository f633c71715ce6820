from dataclasses import replace

import numpy as np

from trading_assets.backtest.bands import bands_of
from trading_assets.backtest.charts import curves_of
from trading_assets.backtest.growth_chart import draw_png, draw_svg, draw_thumbnail
from trading_assets.backtest.track_record import Gap, TrackRecord
from trading_assets_tests.backtest.test_bands import bootstrap_of, noise, record_of


def long_record(bars: int = 2520, folds: int = 10) -> TrackRecord:
    record = record_of(noise(bars), folds)
    day_of_fold = np.arange(bars) % (bars // folds)
    starts = record.folds.astype("datetime64[D]")
    return replace(record, sessions=starts + day_of_fold)


def with_hole(record: TrackRecord, key: str) -> TrackRecord:
    """The same record without a fold, which it names."""
    kept = record.folds != key
    gap = Gap(record.portfolio, key, "the fold was not backtested")
    columns = ("sessions", "folds", "returns", "turnover", "gross_weight", "gains_usd", "costs_usd")
    return replace(record, gaps=(gap,), **{name: getattr(record, name)[kept] for name in columns})


def drawn(record: TrackRecord) -> str:
    bands = bands_of([record], bootstrap_of(record), 0.95)
    return draw_svg(curves_of([record], "cash", bands))


def test_a_band_has_a_hole_where_a_fold_is_missing():
    record = long_record(60, 3)
    # Of growth, of drawdown, and in the legend.
    assert drawn(record).count("fill-opacity: 0.2") == 3
    assert drawn(with_hole(record, "2002-01-01")).count("fill-opacity: 0.2") == 5


def test_a_band_adds_few_bytes_to_ten_years():
    record = long_record()
    bands = bands_of([record], bootstrap_of(record), 0.95)
    bare, banded = (len(draw_svg(curves_of([record], "cash", own))) for own in ({}, bands))
    assert bare < banded <= bare + 15_000


def test_pictures_have_the_band_and_the_thumbnail_of_many_curves_is_small():
    records = [
        replace(long_record(), portfolio=f"{agent}/ensemble", returns=noise(2520) * scale)
        for agent, scale in (("a", 0.5), ("b", 1.0), ("c", 2.0))
    ]
    bands = bands_of(records, bootstrap_of(records[0]), 0.95)
    banded, bare = (curves_of(records, "cash", own) for own in (bands, {}))
    assert len(draw_thumbnail(banded)) <= 60_000
    assert draw_thumbnail(banded) == draw_thumbnail(banded) != draw_thumbnail(bare)
    assert draw_png(banded, "demo") == draw_png(banded, "demo") != draw_png(bare, "demo")
