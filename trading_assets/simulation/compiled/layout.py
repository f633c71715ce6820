"""Where the fields of packed arrays lie; one array in place of eight keeps a call short.

Kernels read these numbers as constants, so a change here compiles them anew.
"""

# Fields of a tape, float64 (T, TAPE_FIELDS, N). The first ones are read at the bar that is filled,
# the last two at the bar of the decision.
OPEN, CLOSE, SPLIT_RATIO, CASH_PER_SHARE, PAYOUT_PER_SHARE, VOLUME, VOLATILITY, ADV_USD = range(8)
TAPE_FIELDS = 8

# Fields of books' positions, float64 (K, POSITION_FIELDS, N).
QUANTITY, PRICE, TARGET_WEIGHT = range(3)
POSITION_FIELDS = 3

# Fields of what a bar did to a book, float64 (K, OUTCOME_FIELDS).
EQUITY_BEFORE, EQUITY, PNL, DIVIDENDS, COSTS, FINANCING, BASE, TRADED = range(8)
OUTCOME_FIELDS = 8

# Fields of what a bar did to a position, float64 (K, FILL_FIELDS, N). VALUE is that of the trade,
# GAIN that of the position before costs and with corporate actions, both in USD.
TRADE, FILL_PRICE, TRADE_COST, POSITION_WEIGHT, WEIGHT_CHANGE, GAIN, VALUE = range(7)
FILL_FIELDS = 7

# Fields of terms, float64 (K or 1, TERM_FIELDS): what trading costs and how long it takes, as the
# declaration says it but for basis points, which are fractions here.
(
    LINEAR,
    IMPACT,
    QUADRATIC,
    FINANCING_PER_BAR,
    BORROW_PER_BAR,
    LOT_SHARES,
    TICK_USD,
    MAX_PARTICIPATION,
    NOTIONAL_USD,
    IS_LONG_ONLY,
    LATENCY_BARS,
) = range(11)
TERM_FIELDS = 11
