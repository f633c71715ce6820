"""What a table's columns are, and those that several tables share."""

from dataclasses import dataclass

import polars as pl

UTC_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type and what it means, with the unit."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """An ordered set of columns, the key that identifies a row, and whether more may follow."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    is_open: bool = False

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    def empty(self) -> pl.DataFrame:
        """Return a table of these columns without rows."""
        return pl.DataFrame(schema={column.name: column.dtype for column in self.columns})


SYMBOL = Column("symbol", pl.String, "Ticker as the source spells it")
COMPANY = Column(
    "symbol", pl.String, "Newest ticker of the company; `TICKER-YYYYMM` where it lost its ticker"
)
SESSION = Column("session", pl.Date, "Exchange session, a date in the exchange's time zone")
EVENT_TIME = Column("event_time", UTC_TIME, "Close of the bar, UTC")
KNOWLEDGE_TIME = Column("knowledge_time", UTC_TIME, "When a trader could first have used it, UTC")
INGEST_TIME = Column("ingest_time", UTC_TIME, "When this row was stored, UTC")
REVISION = Column("revision", pl.Int32, "0 for the first version of a bar, then counting up")
FEED = Column("feed", pl.String, "Feed the row came from")
PORTFOLIO = Column(
    "portfolio", pl.String, "`agent/seed-n`, `agent/ensemble`, `ensemble` or a baseline's name"
)

PRICES = (
    Column("open", pl.Float64, "First trade of the bar, USD, unadjusted"),
    Column("high", pl.Float64, "Highest trade of the bar, USD, unadjusted"),
    Column("low", pl.Float64, "Lowest trade of the bar, USD, unadjusted"),
    Column("close", pl.Float64, "Last trade of the bar, USD, unadjusted"),
    Column("volume", pl.Float64, "Shares traded in the bar"),
)
