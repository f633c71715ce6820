"""How much a row counts: by how little the life of its label overlaps with those of others.

Labels of neighbouring sessions share most of their bars. A bar that c labels of one symbol live on
tells each of them a c-th of something new.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 4.
"""

import numpy as np

from trading_assets.forecast.dataset import Array, Index, Panel, Rows


def weigh_uniqueness(panel: Panel, rows: Rows, life_bars: Index) -> Array:
    """Return the mean uniqueness of each row's label, over the mean of all, float64 (n,).

    It is the mean over bars t+1 .. t+life of 1 / labels that live on the bar, counted among `rows`
    of the same symbol.

    Parameters
    ----------
    panel : Panel
        Says which sessions are bars of a symbol; lives are counted in those.
    rows : Rows
        Rows to weigh, one of a symbol and session.
    life_bars : int64 (n,)
        Bars each label lives, at least 1.
    """
    if not len(rows):
        return np.empty(0)
    # The last bars of a panel's labels may come after its last session.
    n_bars = len(panel.sessions) + int(life_bars.max()) + 1
    bar = np.cumsum(panel.table_row >= 0, axis=1)[rows.symbol, rows.session]
    first, after = bar + 1, bar + 1 + life_bars
    starts = np.zeros((len(panel.symbols), n_bars + 1))
    np.add.at(starts, (rows.symbol, first), 1.0)
    np.add.at(starts, (rows.symbol, after), -1.0)
    concurrent = np.cumsum(starts, axis=1)
    unique = np.divide(1.0, concurrent, out=np.zeros_like(concurrent), where=concurrent > 0)
    # `until[b]` adds up the bars before b.
    until = np.zeros((len(panel.symbols), n_bars + 2))
    np.cumsum(unique, axis=1, out=until[:, 1:])
    mean = (until[rows.symbol, after] - until[rows.symbol, first]) / life_bars
    return mean / mean.mean()
