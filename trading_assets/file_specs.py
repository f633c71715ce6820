"""The declaration of bars, and the actions that go with them, in files of any layout."""

from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trading_assets.declared import Declared, Name
from trading_assets.errors import shown

# Names of a zone database that depend on the machine, or count leap seconds.
_NO_PLACES = ("localtime", "posixrules", "Factory", "posix/", "right/")
# Signs of one byte that stand in no number and quote nothing.
_SEPARATORS = " !#$%&*,/:;<=>?@^_`|~\t[]\\{}"

FileColumn = Literal[
    "symbol", "time", "open", "high", "low", "close", "volume", "vendor_adjusted_close"
]


ActionKind = Literal["split", "dividend", "spin_off", "rename"]
ActionColumn = Literal[
    "symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol", "knowledge_time"
]


class FileActions(Declared):
    """Corporate actions in a CSV or Parquet file, one a row."""

    file: str = Field(min_length=1, description="File; relative to the declaration's own folder.")
    columns: dict[ActionColumn, str] = Field(
        default_factory=dict,
        description=(
            "Our column (symbol, ex_date, kind, split_ratio, cash_usd, new_symbol, knowledge_time)"
            " to the file's own, where they differ; the last four may be absent."
        ),
    )
    kinds: dict[str, ActionKind] = Field(
        default_factory=dict,
        description="The file's words to split, dividend, spin_off or rename, where they differ.",
    )


class FilesSource(Declared):
    """A folder of CSV or Parquet files in any vendor's layout, described by a column map."""

    kind: Literal["files"]
    folder: str = Field(
        min_length=1, description="Folder; relative to the declaration's own folder."
    )
    pattern: str = Field(
        default="*",
        min_length=1,
        max_length=200,
        description="File names that count, as a glob in the folder.",
    )
    feed: Name = Field(description="Name by which rows say where they came from.")
    columns: dict[FileColumn, str] = Field(
        default_factory=dict,
        description=(
            "Our column (symbol, time, open, high, low, close, volume, vendor_adjusted_close) to"
            " the files' own, where they differ; vendor_adjusted_close is read only if named."
        ),
    )
    actions: FileActions | None = Field(
        default=None, description="Splits, dividends, spin-offs and renames of these bars."
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
        max_length=60,
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
        parts = pattern.split("/")
        is_inside = not pattern.startswith("/") and ".." not in parts and "\0" not in pattern
        is_whole = all("**" not in part or part == "**" for part in parts)
        if not is_inside or not is_whole or all(part in ("", ".") for part in parts):
            msg = f"pattern was {shown(pattern)}; expected a glob inside the folder, such as *.csv"
            raise ValueError(msg)
        return pattern

    @field_validator("separator")
    @classmethod
    def _separator_is_a_sign(cls, separator: str) -> str:
        if separator not in _SEPARATORS:
            msg = f"separator was {separator!r}; expected one sign such as ; or a tab"
            raise ValueError(msg)
        return separator

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, time_zone: str) -> str:
        try:
            if time_zone.startswith(_NO_PLACES):
                raise ZoneInfoNotFoundError
            ZoneInfo(time_zone)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            msg = f"time_zone was {shown(time_zone)}; expected a name such as America/New_York"
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
