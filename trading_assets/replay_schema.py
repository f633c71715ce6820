"""The tables that hold a paper session against its replay, declared as those of `schema` are."""

import polars as pl

from trading_assets.columns import Column, Table

MONEY, SHARES = pl.Decimal(38, 6), pl.Decimal(38, 9)

SESSION = Column("session", pl.Date, "Paper session that was replayed")

REPLAY_TABLES: dict[str, Table] = {
    "session_replay": Table(
        (
            SESSION,
            Column("receiver", pl.String, "Broker of the session, such as `simulated`"),
            Column("recorded_equity_usd", MONEY, "Equity at the close, as the session has it, USD"),
            Column("replayed_equity_usd", MONEY, "The same, of the market core, USD"),
            Column("recorded_cost_usd", MONEY, "Costs booked with the session's fills, USD"),
            Column("replayed_cost_usd", MONEY, "The same, of the market core, USD"),
            Column(
                "other_usd",
                MONEY,
                "Recorded less replayed cash that no fill moved, such as dividends, USD",
            ),
            Column(
                "divergence_bps", pl.Float64, "Recorded equity over replayed, less 1, basis points"
            ),
            Column(
                "cumulative_bps",
                pl.Float64,
                "All sessions replayed so far, this one included, compounded, basis points",
            ),
        ),
        key=("session",),
    ),
    "replay_symbols": Table(
        (
            SESSION,
            Column("symbol", pl.String, "Ticker held or traded, as the session names it"),
            Column("recorded_quantity", SHARES, "Shares held at the close, negative when short"),
            Column("replayed_quantity", SHARES, "The same, of the market core"),
            Column("recorded_worth_usd", MONEY, "What they are worth at the close, USD"),
            Column("replayed_worth_usd", MONEY, "The same, of the market core, USD"),
            Column("recorded_trade", SHARES, "Shares bought (+) or sold (-)"),
            Column("replayed_trade", SHARES, "The same, of the market core"),
            Column("recorded_price_usd", MONEY, "Mean price of the fills, USD, null without one"),
            Column("replayed_price_usd", MONEY, "Price of the core's fill, USD, null without one"),
            Column("recorded_cost_usd", MONEY, "Costs booked with the fills, USD"),
            Column("replayed_cost_usd", MONEY, "The same, of the market core, USD"),
            Column(
                "difference_usd",
                MONEY,
                "What the symbol adds to recorded less replayed equity, USD",
            ),
            Column(
                "differs", pl.Boolean, "Whether worth, fills or costs are apart by a cent or more"
            ),
            Column("reason", pl.String, "What became of its order, empty where it was filled"),
        ),
        key=("session", "symbol"),
    ),
}
