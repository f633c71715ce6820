"""The tables of paper and shadow sessions, declared as those of `schema` are."""

import polars as pl

from trading_assets.columns import SESSION, SYMBOL, UTC_TIME, Column, Table

MONEY, SHARES = pl.Decimal(38, 6), pl.Decimal(38, 9)

PAPER_TABLES: dict[str, Table] = {
    "decisions": Table(
        (
            SESSION,
            SYMBOL,
            Column("decision_time", UTC_TIME, "Time up to which data was used, UTC"),
            Column("reference_price_usd", pl.Float64, "Last close before the decision, USD"),
            Column("raw_weight", pl.Float64, "Weight before limits"),
            Column("weight", pl.Float64, "Weight after limits"),
            Column("binding_limits", pl.String, "Names of the limits that changed it, or empty"),
            Column("decided_by", pl.String, "Digest of the bundle, or the declared fallback"),
        ),
        key=("session", "symbol"),
    ),
    "orders": Table(
        (
            SESSION,
            Column("client_order_id", pl.String, "Deterministic id of the order"),
            SYMBOL,
            Column("side", pl.String, "`buy` or `sell`"),
            Column("quantity", SHARES, "Shares asked for"),
            Column("order_type", pl.String, "`market`, `limit`, `stop` or `stop_limit`"),
            Column("time_in_force", pl.String, "`opg`, `day`, `cls`, `ioc` or `gtc`"),
            Column("limit_price_usd", MONEY, "Limit, USD; null without one"),
            Column("stop_price_usd", MONEY, "Stop, USD; null without one"),
            Column("status", pl.String, "Furthest status known"),
            Column("filled_quantity", SHARES, "Shares filled"),
            Column("reason", pl.String, "Why it was refused, or empty"),
        ),
        key=("client_order_id",),
    ),
    "fills": Table(
        (
            SESSION,
            Column("execution_id", pl.String, "Id of the fill, applied once"),
            Column("client_order_id", pl.String, "Order that was filled"),
            SYMBOL,
            Column("side", pl.String, "`buy` or `sell`"),
            Column("quantity", SHARES, "Shares"),
            Column("price_usd", MONEY, "Price, USD"),
            Column("cost_usd", MONEY, "Fees and slippage booked with the fill, USD"),
            Column("filled_at", UTC_TIME, "Time of the fill, UTC"),
        ),
        key=("execution_id",),
    ),
    "positions": Table(
        (
            SESSION,
            SYMBOL,
            Column("quantity", SHARES, "Shares held at the session's close"),
            Column("close_usd", MONEY, "Closing price, USD"),
            Column("market_value_usd", MONEY, "Quantity times close, USD"),
        ),
        key=("session", "symbol"),
    ),
    "account": Table(
        (
            SESSION,
            Column("cash_usd", MONEY, "Cash at the session's close, USD"),
            Column("equity_usd", MONEY, "Cash and positions at the close, USD"),
            Column("fees_usd", MONEY, "Costs of the session's fills, USD"),
            Column("dividends_usd", MONEY, "Cash from corporate actions, USD"),
        ),
        key=("session",),
    ),
    "order_costs": Table(
        (
            SESSION,
            Column("client_order_id", pl.String, "Order, sent or refused"),
            SYMBOL,
            Column("side", pl.String, "`buy` or `sell`"),
            Column("quantity", SHARES, "Shares decided"),
            Column("filled_quantity", SHARES, "Shares filled"),
            Column("decision_price_usd", MONEY, "Price known at the decision, USD"),
            Column("arrival_price_usd", MONEY, "Price when the order was sent, USD"),
            Column("fill_price_usd", MONEY, "Mean price of the fills, USD, null without one"),
            Column("decided_usd", MONEY, "Shares decided times that price, USD"),
            Column("delay_usd", MONEY, "Lost from decision to sending, USD"),
            Column("spread_usd", MONEY, "Half of the quoted spread, USD"),
            Column("impact_usd", MONEY, "What else fills were worse than the open, USD"),
            Column("timing_usd", MONEY, "The market's move from sending to the fill, USD"),
            Column("opportunity_usd", MONEY, "Missed by shares that were not traded, USD"),
            Column("fees_usd", MONEY, "Commission and levies, USD"),
            Column("shortfall_usd", MONEY, "Sum of the six parts before it, USD"),
        ),
        key=("client_order_id",),
    ),
    "shadow_decisions": Table(
        (
            SESSION,
            SYMBOL,
            Column("reference_price_usd", pl.Float64, "Last close before the decision, USD"),
            Column("raw_weight", pl.Float64, "Weight before limits, of the challenger"),
            Column("weight", pl.Float64, "Weight after limits, of the challenger"),
            Column("champion_weight", pl.Float64, "Weight that the paper session decided, or null"),
            Column("binding_limits", pl.String, "Names of the limits that changed it, or empty"),
            Column("decided_by", pl.String, "Digest of the challenger's bundle"),
        ),
        key=("session", "symbol"),
    ),
    "shadow_orders": Table(
        (
            SESSION,
            Column("client_order_id", pl.String, "Id that no broker has seen"),
            SYMBOL,
            Column("side", pl.String, "`buy` or `sell`"),
            Column("quantity", SHARES, "Shares"),
            Column("status", pl.String, "`would_send` or `refused`; nothing is ever sent"),
            Column("rule", pl.String, "First limit that it broke, or empty"),
            Column("reason", pl.String, "Why it would have been refused, or empty"),
        ),
        key=("client_order_id",),
    ),
}
