import numpy as np
import pytest
from scipy import stats

from trading_assets.features.information_coefficient import CROSS_SECTION, TIME_SERIES
from trading_assets.forecast.skill import measure_skill
from trading_assets_tests.features.labelled_tables import HORIZON, overlapping_returns


def drawn(symbols: int, count: int = 300, share: float = 0.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    realised = overlapping_returns(rng, symbols, count)
    realised = realised / realised.std()
    predicted = share * realised + rng.standard_t(3, size=realised.shape)
    symbol, session = np.divmod(np.arange(realised.size), count)
    return symbol, session, predicted, realised


def measure(symbol, session, predicted, realised):
    return measure_skill(symbol, session, predicted.ravel(), realised.ravel(), HORIZON)


@pytest.mark.parametrize(("symbols", "form"), [(8, CROSS_SECTION), (2, TIME_SERIES)])
def test_skill_is_found_with_its_sign(symbols: int, form: str):
    skill = measure(*drawn(symbols, share=0.3))
    against = measure(*drawn(symbols, share=-0.3))
    nothing = measure(*drawn(symbols))
    for name in ("ic", "rank_ic"):
        assert getattr(skill, name).form == form
        assert getattr(skill, name).t > 4.0 > 3.0 > abs(getattr(nothing, name).t)
        assert getattr(against, name).t < -4.0
        assert getattr(skill, name).p_value < 1e-3 < getattr(nothing, name).p_value


def test_the_coefficients_are_pearsons_and_spearmans():
    symbol, session, predicted, realised = drawn(7, share=0.2)
    skill = measure(symbol, session, predicted, realised)
    across = list(zip(predicted.T, realised.T, strict=True))
    pearson = np.mean([stats.pearsonr(*pair).statistic for pair in across])
    spearman = np.mean([stats.spearmanr(*pair).statistic for pair in across])
    assert skill.ic.mean == pytest.approx(pearson, abs=1e-12)
    assert skill.rank_ic.mean == pytest.approx(spearman, abs=1e-12)
    assert skill.ic.mean != pytest.approx(skill.rank_ic.mean, abs=1e-3)


def test_rows_may_come_in_any_order_and_positions_from_anywhere():
    symbol, session, predicted, realised = drawn(6)
    order = np.random.default_rng(1).permutation(len(symbol))
    shuffled = measure_skill(
        9 * symbol[order] + 4,
        session[order] + 1000,
        predicted.ravel()[order],
        realised.ravel()[order],
        HORIZON,
    )
    assert shuffled == measure(symbol, session, predicted, realised)


def test_sessions_without_rows_keep_their_place_in_time():
    symbol, session, predicted, realised = drawn(6)
    spread = measure_skill(symbol, 40 * session, predicted.ravel(), realised.ravel(), HORIZON)
    near = measure(symbol, session, predicted, realised)
    assert spread.ic.mean == pytest.approx(near.ic.mean, abs=1e-12)
    # Far apart, no label overlaps with another.
    assert spread.ic.t != pytest.approx(near.ic.t, rel=1e-3)


def test_one_forecast_for_all_rows_has_no_skill_to_measure():
    symbol, session, predicted, realised = drawn(6)
    skill = measure(symbol, session, np.full_like(predicted, 0.1), realised)
    assert skill.ic.sessions == skill.rank_ic.sessions == 0
    assert np.isnan([skill.ic.mean, skill.ic.t, skill.ic.p_value]).all()


def test_no_rows_have_no_skill_to_measure():
    empty = np.array([], dtype=np.int64)
    skill = measure_skill(empty, empty, empty.astype(float), empty.astype(float), HORIZON)
    assert skill.rank_ic.sessions == 0
