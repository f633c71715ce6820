"""The declaration of a folder of files in any vendor's layout."""

from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trading_assets.declared import Declared, Name

FileColumn = Literal[
    "symbol", "time", "open", "high", "low", "close", "volume", "vendor_adjusted_close"
]


class FilesSource(Declared):
    """A folder of CSV or Parquet files in any vendor's layout, described by a column map."""

    kind: Literal["files"]
    folder: str = Field(
        min_length=1, description="Folder; relative to the declaration's own folder."
    )
    pattern: str = Field(
        default="*", min_length=1, description="File names that count, as a glob in the folder."
    )
    feed: Name = Field(description="Name by which rows say where they came from.")
    columns: dict[FileColumn, str] = Field(
        default_factory=dict,
        description=(
            "Our column (symbol, time, open, high, low, close, volume, vendor_adjusted_close) to"
            " the files' own, where they differ; vendor_adjusted_close is read only if named."
        ),
    )
    symbol_from: Literal["column", "file_name"] = Field(
        default="column",
        description="Where a row's symbol stands; in a file name `/` is written `%2F`.",
    )
    time_is: Literal["session", "bar_open", "bar_close"] = Field(
        default="session", description="What the time column says: a date, or a bar's start or end."
    )
    time_zone: str = Field(default="UTC", description="Zone of times without one.")
    time_format: str | None = Field(
        default=None,
        min_length=2,
        description="Format of a time in text, as strftime; ISO 8601 when absent.",
    )
    separator: str = Field(
        default=",", min_length=1, max_length=1, description="What parts the columns of a CSV."
    )
    decimal_comma: bool = Field(
        default=False, description="Whether a CSV writes 1,5 for one and a half."
    )

    @field_validator("pattern")
    @classmethod
    def _pattern_stays_in_the_folder(cls, pattern: str) -> str:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            msg = f"pattern was {pattern!r}; expected a glob inside the folder, such as *.csv"
            raise ValueError(msg)
        return pattern

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, time_zone: str) -> str:
        try:
            ZoneInfo(time_zone)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            msg = f"time_zone was {time_zone!r}; expected a name such as America/New_York"
            raise ValueError(msg) from error
        return time_zone

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if self.symbol_from == "file_name" and "symbol" in self.columns:
            msg = "columns names symbol, and symbol_from is file_name; expected one of the two"
            raise ValueError(msg)
        if self.decimal_comma and self.separator == ",":
            msg = "separator and decimal sign were both a comma; expected another separator"
            raise ValueError(msg)
        return self
