"""Weeks that investors remember, by name: what a strategy did when others lost their nerve."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class CrisisWindow:
    """Days from `first` to `last`, both included."""

    name: str
    first: date
    last: date


# Whole months around the days that the sources name; chosen by what happened then, not by returns
# of any strategy.
CRISIS_WINDOWS = (
    # Lehman Brothers filed on 2008-09-15; the S&P 500 closed at its low on 2009-03-09. Source:
    # Financial Crisis Inquiry Commission, Final Report (2011).
    CrisisWindow("financial crisis 2008", date(2008, 9, 1), date(2009, 3, 31)),
    # 2010-05-06. Source: CFTC and SEC, Findings Regarding the Market Events of May 6, 2010 (2010).
    CrisisWindow("flash crash 2010", date(2010, 5, 1), date(2010, 5, 31)),
    # Standard & Poor's, United States of America Long-Term Rating Lowered To 'AA+', 2011-08-05.
    CrisisWindow("rating cut 2011", date(2011, 8, 1), date(2011, 8, 31)),
    # 2015-08-24. Source: SEC, Research Note: Equity Market Volatility on August 24, 2015 (2015).
    CrisisWindow("August 2015", date(2015, 8, 1), date(2015, 8, 31)),
    # The VIX more than doubled on 2018-02-05. Source: BIS Quarterly Review, March 2018.
    CrisisWindow("volatility spike 2018", date(2018, 2, 1), date(2018, 2, 28)),
    # The S&P 500 closed at its low on 2018-12-24. Source: BIS Quarterly Review, March 2019.
    CrisisWindow("December 2018", date(2018, 12, 1), date(2018, 12, 31)),
    # High on 2020-02-19, low on 2020-03-23. Source: FSB, Holistic Review of the March Market
    # Turmoil (2020).
    CrisisWindow("pandemic 2020", date(2020, 2, 1), date(2020, 4, 30)),
    # Policy rates rose from March on. Source: BIS, Annual Economic Report 2023.
    CrisisWindow("rising rates 2022", date(2022, 1, 1), date(2022, 12, 31)),
)
