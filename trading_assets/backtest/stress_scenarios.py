"""Names and sizes of the worlds in which a fold is traded again."""

# Scenarios of table `stress`; the level is a factor, a correlation, deviations, sessions or the
# path's number.
RECORDED, UNSHOCKED = "recorded", "as_it_was"
VOLATILITY, CORRELATION, GAP = "volatility", "correlation", "gap"
HALTS, STALE, PATH = "halts", "stale_feed", "path"

VOLATILITY_FACTOR = 3.0
CORRELATION_LEVEL = 0.9
GAP_DEVIATIONS = 3.0
BUY_AND_HOLD = "buy_and_hold"
# Dividends are reinvested on the adjusted path, and rounding differs. Mean difference of a bar's
# return, basis points.
MOST_APART_BPS = 0.5
