"""The tables that say what moved decisions and forecasts, declared as those of `schema` are."""

import polars as pl

from trading_assets.columns import PORTFOLIO, SYMBOL, Column, Table

EXPLANATION_TABLES: dict[str, Table] = {
    "action_attributions": Table(
        (
            PORTFOLIO,
            Column("session", pl.Date, "Session at whose close was decided"),
            Column("symbol", pl.String, "Ticker whose target weight is explained"),
            Column(
                "kind",
                pl.String,
                "`feature`, `forecast`, `known` or `account`; or a step of the decision:"
                " `baseline`, `confidence` or `limits`",
            ),
            Column("of_symbol", pl.String, "Ticker that the input is of, `*` of all others, or ''"),
            Column("input", pl.String, "Name of the input; the kind itself for a step"),
            Column(
                "contribution",
                pl.Float64,
                "Weight that it adds; those of a symbol and session add up to its target",
            ),
        ),
        key=("portfolio", "session", "symbol", "kind", "of_symbol", "input"),
    ),
    "importances": Table(
        (
            Column("of", pl.String, "Portfolio, or `forecaster`"),
            Column("level", pl.String, "`group` of features, `input`"),
            Column("input", pl.String, "Group or input that was permuted in blocks of bars"),
            Column(
                "measure",
                pl.String,
                "`weight_change` (fraction), `return_lost_bps` (a session) or `log_loss` (nats)",
            ),
            Column("mean", pl.Float64, "Mean over bars and permutations, in the measure's unit"),
            Column("error", pl.Float64, "Standard error of the mean"),
            Column("low", pl.Float64, "Lower end of its 95 % interval"),
            Column("high", pl.Float64, "Upper end of its 95 % interval"),
            Column("repetitions", pl.Int64, "Permutations"),
        ),
        key=("of", "level", "input", "measure"),
    ),
    "reasons": Table(
        (
            PORTFOLIO,
            Column("session", pl.Date, "Session at whose open the trade was filled"),
            SYMBOL,
            Column("decided", pl.Date, "Session at whose close it was decided"),
            Column("traded_usd", pl.Float64, "Value bought (+) or sold (-) before costs, USD"),
            Column("wish_change", pl.Float64, "Change of the weight wanted before limits"),
            Column("drift", pl.Float64, "Target before less the weight held: what prices moved"),
            Column(
                "inputs", pl.List(pl.String), "Inputs that changed the wish most, largest first"
            ),
            Column(
                "contribution_changes", pl.List(pl.Float64), "Weight that each of them added since"
            ),
            Column("binding_limits", pl.String, "Limits that changed the wish, joined by `+`"),
            Column("reason", pl.String, "One sentence for a person"),
        ),
        key=("portfolio", "session", "symbol"),
    ),
    "forecast_attributions": Table(
        (
            Column("session", pl.Date, "Session at whose close was forecast"),
            SYMBOL,
            Column("grouping", pl.String, "`feature`, `age_bars`, or `baseline`"),
            Column("input", pl.String, "Feature, or age of the bar: 0 is the session's own"),
            Column("log_odds", pl.Float64, "Added to ln(p_up / p_down)"),
            Column("scaled_return", pl.Float64, "Added to the mean return over its volatility"),
        ),
        key=("session", "symbol", "grouping", "input"),
    ),
    "market_states": Table(
        (
            Column("session", pl.Date, "Session of the test window"),
            Column("market", pl.Float64, "Mean total return of the universe, fraction"),
            Column("momentum", pl.Float64, "Return of winners less losers, null if unranked"),
            Column("low_volatility", pl.Float64, "Return of calm less wild symbols, or null"),
            Column(
                "volatility_regime", pl.String, "`calm`, `usual` or `wild`, told the close before"
            ),
            Column(
                "hidden_regime", pl.String, "`calm`, `between` or `stressed`, null if not computed"
            ),
        ),
        key=("session",),
    ),
    "symbol_returns": Table(
        (
            Column("session", pl.Date, "Session of the test window"),
            SYMBOL,
            Column("total_return", pl.Float64, "From the close before, dividends included"),
        ),
        key=("session", "symbol"),
    ),
    "member_gains": Table(
        (
            PORTFOLIO,
            Column("session", pl.Date, "Session of the test window"),
            Column("member", pl.String, "`agent/seed-n`, or what limits, lots and fills changed"),
            Column("gain_usd", pl.Float64, "Gain of the shares that it wished for, USD"),
        ),
        key=("portfolio", "session", "member"),
    ),
}
