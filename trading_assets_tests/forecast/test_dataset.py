import numpy as np
import torch

from trading_assets.forecast.dataset import Rows, build_panel, gather_windows, last_bars, rows_at
from trading_assets.forecast.transforms import FoldTransforms
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.forecast.planted_market import NAMES, make_market


def test_windows_end_at_their_row_and_hold_null_as_zero_with_a_mask():
    market = make_market(0.1, count=60)
    features = market.features.with_columns(market.features["noise_1"].shift(9).alias("noise_1"))
    panel = build_panel(features, NAMES)
    rows = rows_at(panel, market.train, 8, np.ones(4, np.bool_))
    assert rows.session.min() == 7
    values = panel.values[rows.symbol, :, rows.session]
    transforms = FoldTransforms.fit(values, NAMES, ForecastSpec(clip_quantile=0.0))
    inputs = transforms.apply(panel.values)
    window = gather_windows(inputs, Rows(np.array([0]), np.array([10])), 8)[0]
    assert window.shape == (5, 8)
    assert window[4].tolist() == [0.0] * 6 + [1.0] * 2
    assert window[1, :6].tolist() == [0.0] * 6
    standard = (panel.values[0, 0, 3:11] - transforms.centre[0]) / transforms.scale[0]
    np.testing.assert_allclose(window[0], standard, rtol=1e-5)
    own = last_bars(inputs, Rows(np.array([0]), np.array([10])))[0]
    assert torch.equal(own.float(), window[:, -1])
