"""What the market's columns are, and that they know rows up to their own only."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.market_state import MarketColumns, MarketState, compute_market

Array = NDArray[np.float64]
WINDOW, PRESENT = 63, 21
NO_SECTORS = [None] * 6


def make_returns(
    rows: int = 700, symbols: int = 6, common: float = 0.5, seed: int = 0, missing: float = 0.1
) -> Array:
    generator = np.random.default_rng(seed)
    returns = generator.normal(0.0, 0.01, (rows, symbols))
    returns += common * generator.normal(0.0, 0.01, (rows, 1))
    returns[generator.random(returns.shape) < missing] = np.nan
    returns[0] = np.nan
    return returns


def correlate(returns: Array) -> tuple[Array, Array]:
    """Return mean correlation and first component's share by numpy, window by window."""
    correlation, share = np.full((2, len(returns)), np.nan)
    for t in range(WINDOW - 1, len(returns)):
        window = returns[t - WINDOW + 1 : t + 1]
        present = (~np.isnan(window)).sum(axis=0) >= PRESENT
        window = np.nan_to_num(window[:, present])
        count = window.shape[1]
        correlation[t] = share[t] = 1.0
        if count >= 2:
            with np.errstate(invalid="ignore"):
                matrix = np.nan_to_num(np.corrcoef(window.T))
            np.fill_diagonal(matrix, 1.0)
            correlation[t] = matrix[np.tril_indices(count, -1)].mean()
            share[t] = np.linalg.eigvalsh(matrix)[-1] / count
    return correlation, share


def check_against_numpy(returns: Array, tolerance: float = 1e-10) -> MarketColumns:
    columns = compute_market(returns, [None] * returns.shape[1])
    correlation, share = correlate(returns)
    np.testing.assert_allclose(columns.mean_correlation, correlation, atol=tolerance)
    np.testing.assert_allclose(columns.first_component_share, share, atol=tolerance)
    return columns


def column_bytes(*blocks: MarketColumns) -> list[bytes]:
    return [
        b"".join(getattr(block, field.name).tobytes() for block in blocks)
        for field in fields(MarketColumns)
    ]


def advance_in_blocks(returns: Array, sectors: list[str | None], size: int) -> list[MarketColumns]:
    state = MarketState(sectors)
    return [state.advance(returns[a : a + size]) for a in range(0, len(returns), size)]


@pytest.mark.parametrize("symbols", [2, 3, 5, 14])
@pytest.mark.parametrize("common", [0.0, 0.5, 2.0])
def test_correlations_are_those_of_numpy(symbols: int, common: float) -> None:
    check_against_numpy(make_returns(symbols=symbols, common=common, seed=symbols))


def test_two_symbols_that_oppose_each_other_share_a_component() -> None:
    returns = make_returns(rows=63, symbols=2, common=0.0, missing=0.0)
    returns[:, 1] = -returns[:, 0]
    columns = check_against_numpy(returns)
    assert columns.mean_correlation[-1] == pytest.approx(-1.0)
    assert columns.first_component_share[-1] == pytest.approx(1.0)


def test_symbols_that_come_in_equal_pairs_have_the_share_of_a_pair() -> None:
    returns = np.repeat(make_returns(symbols=5, common=0.0, missing=0.0), 2, axis=1)
    check_against_numpy(returns)


def test_symbols_in_step_share_one_component() -> None:
    returns = np.repeat(make_returns(symbols=1), 14, axis=1) * np.arange(1, 15)
    columns = check_against_numpy(returns)
    assert columns.mean_correlation[-1] == pytest.approx(1.0, abs=1e-12)
    assert columns.first_component_share[-1] == pytest.approx(1.0, abs=1e-12)
    assert np.nanmax(columns.first_component_share) <= 1.0


def test_market_return_is_the_mean_over_the_symbols_with_a_bar() -> None:
    returns = make_returns()
    market = compute_market(returns, NO_SECTORS).market_return
    assert np.isnan(market[0])
    np.testing.assert_allclose(market[1:], np.nanmean(returns[1:], axis=1), atol=1e-15)


def test_sector_return_is_the_mean_of_the_symbols_of_the_sector_with_a_bar() -> None:
    nan = np.nan
    returns = np.array([[1.0, 2.0, 6.0, 3.0], [nan, nan, 6.0, 3.0], [nan, 4.0, nan, 5.0]])
    columns = compute_market(returns, ["tech", "tech", "energy", None])
    assert columns.market_return.tolist() == [3.0, 4.5, 4.5]
    assert columns.sector_return.tolist() == [
        [1.5, 1.5, 6.0, 3.0],
        [4.5, 4.5, 6.0, 4.5],
        [4.0, 4.0, 4.5, 4.5],
    ]


def test_without_sectors_the_market_stands_for_each() -> None:
    columns = compute_market(make_returns(), NO_SECTORS)
    np.testing.assert_array_equal(
        columns.sector_return, np.repeat(columns.market_return[:, None], 6, axis=1)
    )


@pytest.mark.parametrize("size", [1, 7, 256])
def test_blocks_of_any_size_give_the_bytes_of_one_call(size: int) -> None:
    returns = make_returns()
    returns[300, 2] = 0.9
    sectors = ["a", "b", None, "a", "b", "c"]
    whole = compute_market(returns, sectors)
    assert column_bytes(*advance_in_blocks(returns, sectors, size)) == column_bytes(whole)


def test_parts_of_many_rows_side_by_side_give_the_bytes_of_rows_in_turn() -> None:
    returns = make_returns(rows=13_000, symbols=3)
    returns[8_190, 1] = 0.9
    sectors = ["a", None, "a"]
    in_turn = column_bytes(*advance_in_blocks(returns, sectors, 500))
    assert column_bytes(compute_market(returns, sectors)) == in_turn
    late = MarketState(sectors)
    blocks = [late.advance(returns[:777]), late.advance(returns[777:12_990])]
    assert column_bytes(*blocks, late.advance(returns[12_990:])) == in_turn


def test_later_rows_change_no_earlier_one() -> None:
    returns = make_returns()
    whole = compute_market(returns, NO_SECTORS)
    scrambled = returns.copy()
    scrambled[400:] = np.random.default_rng(9).normal(0.0, 3.0, scrambled[400:].shape)
    kept = MarketColumns(**{f.name: getattr(whole, f.name)[:400] for f in fields(whole)})
    for changed in (returns[:400], scrambled):
        columns = compute_market(changed, NO_SECTORS)
        early = MarketColumns(**{f.name: getattr(columns, f.name)[:400] for f in fields(whole)})
        assert column_bytes(early) == column_bytes(kept)
    assert (
        compute_market(scrambled, NO_SECTORS).mean_correlation[400] != (whole.mean_correlation[400])
    )


def test_input_is_left_as_it_was_and_may_be_read_only() -> None:
    returns = make_returns(rows=100)
    returns.flags.writeable = False
    kept = returns.tobytes()
    compute_market(returns, NO_SECTORS)
    assert returns.tobytes() == kept


def test_a_symbol_is_present_from_its_twenty_first_bar_within_the_window() -> None:
    returns = make_returns(rows=200, symbols=3, missing=0.0)
    returns[:100, 2] = np.nan
    columns = check_against_numpy(returns)
    alone = compute_market(returns[:, :2], [None, None])
    equal = columns.mean_correlation == alone.mean_correlation
    assert equal[62 : 100 + PRESENT - 1].all()
    assert not equal[100 + PRESENT - 1 :].any()


def test_a_halted_symbol_leaves_when_fewer_bars_than_needed_remain() -> None:
    returns = make_returns(rows=200, symbols=3, missing=0.0)
    returns[100:, 2] = np.nan
    columns = check_against_numpy(returns)
    alone = compute_market(returns[:, :2], [None, None])
    # Rows 100 and later lack bars: the window that ends at row t holds 163 - t - 1 of them.
    left = 100 + WINDOW - PRESENT
    assert columns.mean_correlation[left - 1] != alone.mean_correlation[left - 1]
    np.testing.assert_allclose(
        columns.mean_correlation[left:], alone.mean_correlation[left:], atol=1e-14
    )


def test_fewer_than_two_present_symbols_move_as_one() -> None:
    single = compute_market(make_returns(rows=100, symbols=1), [None])
    assert np.isnan(single.mean_correlation[:62]).all()
    assert single.mean_correlation[62:].tolist() == [1.0] * 38
    assert single.first_component_share[62:].tolist() == [1.0] * 38
    absent = compute_market(np.full((70, 3), np.nan), [None] * 3)
    assert absent.mean_correlation[62:].tolist() == [1.0] * 8
    assert np.isnan(absent.market_return).all()


def test_rows_before_a_full_window_have_no_correlation() -> None:
    columns = compute_market(make_returns(rows=80), NO_SECTORS)
    for column in (columns.mean_correlation, columns.first_component_share):
        assert np.isnan(column[:62]).all()
        assert np.isfinite(column[62:]).all()


def test_symbols_that_do_not_move_are_uncorrelated() -> None:
    returns = make_returns(rows=150, symbols=5, common=5.0, missing=0.0)
    still, drifting = returns.copy(), returns.copy()
    still[:, 2:] = 0.0
    drifting[:, 2:] = 0.0003, 0.0123, 0.1
    expected = check_against_numpy(still).mean_correlation
    found = compute_market(drifting, [None] * 5).mean_correlation
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_sums_made_afresh_hold_nothing_of_rows_before_their_window() -> None:
    returns = make_returns(rows=600)
    other = returns.copy()
    other[: 512 - WINDOW + 1] = make_returns(rows=512 - WINDOW + 1, seed=1)
    columns = [compute_market(rows, NO_SECTORS).mean_correlation for rows in (returns, other)]
    assert columns[0][512:].tobytes() == columns[1][512:].tobytes()


def test_a_shock_leaves_nothing_behind_when_it_leaves_the_window() -> None:
    returns = make_returns(rows=250, symbols=3, common=0.0, missing=0.0) * 1e-6
    returns[80, 2] = 10.0
    # After the shock the symbol stands still, so what is left of it would be rounding alone.
    still = returns.copy()
    still[81:, 2] = 0.0
    check_against_numpy(returns)
    check_against_numpy(still)


def test_sums_do_not_drift_over_many_rows() -> None:
    returns = make_returns(rows=60_000, symbols=3, missing=0.0)
    returns[np.random.default_rng(4).integers(0, 60_000, 300)] *= 1e2
    columns = compute_market(returns, [None] * 3)
    correlation, share = correlate(returns[-400:])
    tail = slice(-300, None)
    np.testing.assert_allclose(columns.mean_correlation[tail], correlation[tail], atol=1e-11)
    np.testing.assert_allclose(columns.first_component_share[tail], share[tail], atol=1e-11)


def test_panels_that_do_not_fit_the_symbols_are_refused() -> None:
    with pytest.raises(DataError, match="symbols of the market were none; expected at least one"):
        MarketState([])
    state = MarketState(["a", None])
    for returns in (np.zeros((3, 3)), np.zeros(2)):
        with pytest.raises(DataError, match=r"had the shape \(.*\); expected \(rows, 2\)"):
            state.advance(returns)
    assert state.advance(np.zeros((0, 2))).market_return.shape == (0,)
