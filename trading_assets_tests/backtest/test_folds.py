import subprocess
import sys
from datetime import date

import pytest

from trading_assets.backtest import folds
from trading_assets.backtest.folds import Fold, fold_keys, get_fold, month_keys, train_months
from trading_assets.errors import UserError
from trading_assets.strategy import FoldsSpec

YEARLY = FoldsSpec(period="year", first=date(2004, 1, 1))
QUARTERLY = FoldsSpec(
    period="quarter", first=date(2010, 4, 1), last=date(2011, 1, 1), train_months=12
)


def test_a_yearly_fold_has_these_dates():
    assert get_fold("2009-01-01", YEARLY) == Fold(
        key="2009-01-01",
        train_start=date(2006, 1, 1),
        train_end=date(2008, 12, 31),
        validation_start=date(2008, 7, 1),
        test_start=date(2009, 1, 1),
        test_end=date(2009, 12, 31),
    )


def test_a_quarterly_fold_has_these_dates():
    assert get_fold("2010-10-01", QUARTERLY) == Fold(
        key="2010-10-01",
        train_start=date(2009, 10, 1),
        train_end=date(2010, 9, 30),
        validation_start=date(2010, 4, 1),
        test_start=date(2010, 10, 1),
        test_end=date(2010, 12, 31),
    )


def test_anchored_folds_train_from_where_the_first_one_does():
    yearly = YEARLY.model_copy(update={"window": "anchored"})
    windows = [get_fold(key, yearly) for key in ("2004-01-01", "2005-01-01", "2009-01-01")]
    assert [fold.train_start for fold in windows] == [date(2001, 1, 1)] * 3
    assert [fold.train_end for fold in windows] == [
        date(2003, 12, 31),
        date(2004, 12, 31),
        date(2008, 12, 31),
    ]
    assert [fold.validation_start for fold in windows] == [
        date(2003, 7, 1),
        date(2004, 7, 1),
        date(2008, 7, 1),
    ]
    assert [fold.test_end.year for fold in windows] == [2004, 2005, 2009]


def test_anchored_quarters_have_these_dates():
    anchored = QUARTERLY.model_copy(update={"window": "anchored"})
    assert get_fold("2011-01-01", anchored) == Fold(
        key="2011-01-01",
        train_start=date(2009, 4, 1),
        train_end=date(2010, 12, 31),
        validation_start=date(2010, 7, 1),
        test_start=date(2011, 1, 1),
        test_end=date(2011, 3, 31),
    )
    assert len(train_months(get_fold("2011-01-01", anchored))) == 21


def test_the_first_anchored_fold_is_the_first_rolling_one():
    anchored = YEARLY.model_copy(update={"window": "anchored"})
    assert get_fold("2004-01-01", anchored) == get_fold("2004-01-01", YEARLY)


def test_a_window_over_a_leap_day_ends_on_the_last_of_february_before_it():
    spec = FoldsSpec(period="quarter", first=date(2012, 1, 1), train_months=12, validation_months=1)
    assert get_fold("2012-04-01", spec).validation_start == date(2012, 3, 1)
    assert get_fold("2012-01-01", spec).test_end == date(2012, 3, 31)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2004, 12, 31), []),
        (date(2005, 1, 1), ["2004-01-01"]),
        (date(2006, 12, 31), ["2004-01-01", "2005-01-01"]),
        (date(2007, 1, 1), ["2004-01-01", "2005-01-01", "2006-01-01"]),
    ],
)
def test_a_fold_exists_only_when_its_test_window_has_ended(today: date, expected: list[str]):
    assert fold_keys(YEARLY, today) == expected


def test_folds_stop_at_the_declared_last():
    keys = fold_keys(QUARTERLY, date(2030, 1, 1))
    assert keys == ["2010-04-01", "2010-07-01", "2010-10-01", "2011-01-01"]


@pytest.mark.parametrize("key", ["2009-02-01", "2009-01-02", "2003-01-01", "soon", "20090101"])
def test_a_key_that_is_no_declared_fold_is_refused(key: str):
    with pytest.raises(UserError, match=r"expected the first day of"):
        get_fold(key, YEARLY)


def test_a_key_after_the_last_fold_is_refused():
    with pytest.raises(UserError, match="no later than 2011-01-01"):
        get_fold("2011-04-01", QUARTERLY)


def test_the_windows_meet_without_overlap():
    for key in fold_keys(YEARLY, date(2013, 1, 1)):
        fold = get_fold(key, YEARLY)
        assert (fold.test_start - fold.train_end).days == 1
        assert fold.train_start < fold.validation_start <= fold.train_end


def test_months_cover_the_windows():
    fold = get_fold("2009-01-01", YEARLY)
    months = train_months(fold)
    assert (months[0], months[-1], len(months)) == ("2006-01-01", "2008-12-01", 36)
    assert folds.test_months(fold) == [f"2009-{month:02d}-01" for month in range(1, 13)]


def test_month_keys_include_partly_covered_months():
    assert month_keys(date(2000, 12, 31), date(2001, 2, 1)) == [
        "2000-12-01",
        "2001-01-01",
        "2001-02-01",
    ]


def test_folds_import_no_array_library():
    code = (
        "import sys, trading_assets.backtest.folds;"
        "sys.exit(any(m in sys.modules for m in ('numpy', 'polars', 'pandas', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
