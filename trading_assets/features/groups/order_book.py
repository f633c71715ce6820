"""Order book: the best quotes that were known with the bar; null where there are none."""

from trading_assets.features.definition import FeatureDefinition
from trading_assets.features.expressions import Column
from trading_assets.features.groups.context import series_input, series_of
from trading_assets.features.operations import change, divide, lag, log, rolling_sum, sign, z_score

_GROUP = "order_book"
_BID, _ASK = series_input("bid"), series_input("ask")
_BID_SIZE, _ASK_SIZE = series_input("bid_size"), series_input("ask_size")
_MIDDLE = 0.5 * (_BID + _ASK)
_DEPTH = _BID_SIZE + _ASK_SIZE
_MICROPRICE = divide(_BID * _ASK_SIZE + _ASK * _BID_SIZE, _DEPTH)


def _at_or_above(moves: Column) -> Column:
    # 1 where the move is not negative.
    signs = sign(moves)
    return 1.0 + 0.5 * (signs - signs * signs)


def _order_flow(bars: int) -> Column:
    # Cont, Kukanov and Stoikov, The Price Impact of Order Book Events, J. Fin. Econometrics (2014).
    bid_moves, ask_moves = change(_BID), change(_ASK)
    bought = _at_or_above(bid_moves) * _BID_SIZE - _at_or_above(-bid_moves) * lag(_BID_SIZE, 1)
    sold = _at_or_above(-ask_moves) * _ASK_SIZE - _at_or_above(ask_moves) * lag(_ASK_SIZE, 1)
    return divide(rolling_sum(bought - sold, bars), rolling_sum(_DEPTH, bars))


def _of_quotes(name: str, formula: str, unit: str, expression: Column) -> FeatureDefinition:
    return FeatureDefinition(name, _GROUP, formula, unit, expression, series=series_of(expression))


FURTHER = (
    _of_quotes(
        "quoted_spread_bps",
        "10000 (ask - bid) / mid",
        "basis points",
        divide(10_000.0 * (_ASK - _BID), _MIDDLE),
    ),
    _of_quotes(
        "book_imbalance",
        "(bid_size - ask_size) / (bid_size + ask_size)",
        "-1..1",
        divide(_BID_SIZE - _ASK_SIZE, _DEPTH),
    ),
    _of_quotes(
        "microprice_distance_bps",
        "10000 ((bid * ask_size + ask * bid_size) / (bid_size + ask_size) / mid - 1)",
        "basis points",
        10_000.0 * (divide(_MICROPRICE, _MIDDLE, 1.0) - 1.0),
    ),
    _of_quotes(
        "order_flow_imbalance_21",
        "order flow at the best quotes / depth, 21 bars (Cont, Kukanov, Stoikov 2014)",
        "fraction",
        _order_flow(21),
    ),
    _of_quotes(
        "book_depth_z_63",
        "z-score of ln(1 + bid_size + ask_size) in 63 bars",
        "sd",
        z_score(log(_DEPTH + 1.0), 63),
    ),
)  # fmt: skip
