import io
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from matplotlib.image import imread

from trading_assets.paper.plots import plot_equity, plot_shortfall, plot_weights
from trading_assets.schema import TABLES
from trading_assets_tests.paper.fixtures import make_market, make_strategy
from trading_assets_tests.paper.four_ways import random_weights, run_sessions


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    strategy, market = make_strategy(), make_market(16)
    folder = tmp_path_factory.mktemp("plots")
    return run_sessions(folder, market, strategy, random_weights(strategy, market))


def pixels(png):
    return imread(io.BytesIO(png))


def account_of(values):
    rows = [
        (date(2024, 1, 1) + timedelta(days=n), Decimal(0), Decimal(value), Decimal(0), Decimal(0))
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=TABLES["account"].empty().schema, orient="row")


def is_red(picture):
    red, green, blue = (picture[..., channel] for channel in range(3))
    return (red > green + 0.2) & (red > blue + 0.2)


def test_a_fall_below_the_highest_equity_is_red_and_a_rise_is_not():
    rising, falling = (
        pixels(plot_equity(account_of(values)))
        for values in (range(1000, 1060), range(1060, 1000, -1))
    )
    assert is_red(falling).sum() > 20 * (is_red(rising).sum() + 1)


def test_one_session_is_enough_for_every_picture(records):
    [record] = records[:1]
    tables = record.tables
    equity = float(tables["account"]["equity_usd"][0])
    for png in (
        plot_equity(tables["account"]),
        plot_weights(tables["decisions"], tables["positions"], equity, "2020-01-03"),
        plot_shortfall(tables["order_costs"]),
    ):
        assert png.startswith(b"\x89PNG")
        assert len(png) < 60_000
        assert pixels(png).std() > 0.01


def test_what_is_held_is_drawn_beside_what_was_decided(records):
    tables = records[5].tables
    equity = float(tables["account"]["equity_usd"][0])
    drawn = plot_weights(tables["decisions"], tables["positions"], equity, "a")
    none = plot_weights(tables["decisions"], tables["positions"].clear(), equity, "a")
    halved = plot_weights(tables["decisions"], tables["positions"], 2 * equity, "a")
    assert drawn != none
    assert drawn != halved


def test_the_shortfall_of_each_session_has_a_place(records):
    costs = pl.concat([record.tables["order_costs"] for record in records])
    one, all_ = pixels(plot_shortfall(costs.head(2))), pixels(plot_shortfall(costs))
    assert np.abs(one - all_).max() > 0.5
