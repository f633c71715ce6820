"""Reads a universe from a CSV file that a declaration names.

The file has a header and one row for each stint of a symbol. Only the column `symbol` must be
there; an empty cell is an absent value.
"""

import csv
import io
from difflib import get_close_matches
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from trading_assets.errors import DeclarationError, shown
from trading_assets.membership import Member, order_stints

_COLUMNS = tuple(Member.model_fields)
_SUFFIX = ".csv"
_LONGEST_NAME = 200


def members_path(name: str, folder: Path) -> Path:
    """Return the file that `name` means, inside the declaration's folder.

    Raises
    ------
    DeclarationError
        If it is no CSV file's name or leads out of `folder`, by a link too.
    """
    if not name.endswith(_SUFFIX) or "\0" in name or len(name) > _LONGEST_NAME:
        msg = (
            f"was {shown(name)}; expected a list of symbols, a list of members, or the name of a"
            " CSV file such as members.csv"
        )
        raise DeclarationError(msg)
    parts = PurePosixPath(name.replace("\\", "/"))
    is_absolute = parts.is_absolute() or bool(PureWindowsPath(name).drive)
    target = folder / name
    if is_absolute or ".." in parts.parts or not _is_within(target, folder):
        msg = (
            f"was {shown(name)}, which is not in the declaration's folder; expected a file in it,"
            " such as members.csv"
        )
        raise DeclarationError(msg)
    return target


def _is_within(target: Path, folder: Path) -> bool:
    try:
        return target.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False  # a name that no file can have, or a link that leads to itself


def read_members(path: Path) -> list[dict[str, str]]:
    """Return the rows of a membership file as mappings of field to text, absent values left out.

    Raises
    ------
    DeclarationError
        Naming file, line and column of what is wrong.
    """
    rows = _read_rows(path)
    if not rows:
        msg = f"{path}:1: the file is empty; expected a header with the column symbol"
        raise DeclarationError(msg)
    header_line, header = rows[0]
    _require_known_columns(f"{path}:{header_line}", header)
    members: list[tuple[int, Member]] = []
    texts: list[dict[str, str]] = []
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            msg = f"{path}:{line}: has {len(cells)} cells; expected {len(header)}, as the header"
            raise DeclarationError(msg)
        given = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        members.append((line, _member(f"{path}:{line}", given)))
        texts.append(given)
    if not members:
        msg = f"{path}:{header_line}: the file has no rows; expected one for each member"
        raise DeclarationError(msg)
    _require_separate_stints(path, members)
    return texts


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        # A spreadsheet may put a byte-order mark in front.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        msg = f"{path} does not exist; expected a CSV file with the column symbol"
        raise DeclarationError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}); expected a CSV file in UTF-8"
        raise DeclarationError(msg) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        msg = f"{path}:{reader.line_num}: not CSV: {error}"
        raise DeclarationError(msg) from error
    return rows


def _require_known_columns(place: str, header: list[str]) -> None:
    for name in header:
        if name not in _COLUMNS:
            close = get_close_matches(name, _COLUMNS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(_COLUMNS)}"
            msg = f"{place}: column {shown(name)} is unknown; {hint}"
            raise DeclarationError(msg)
        if header.count(name) > 1:
            msg = f"{place}: column {shown(name)} is there twice; expected it once"
            raise DeclarationError(msg)
    if "symbol" not in header:
        msg = f"{place}: column 'symbol' is missing; expected it, as it says who is a member"
        raise DeclarationError(msg)


def _member(place: str, given: dict[str, str]) -> Member:
    try:
        return Member.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        text = problem["msg"].removeprefix("Value error, ")
        column = ".".join(str(part) for part in problem["loc"]) or "row"
        if problem["type"] == "missing":
            text = "is empty; expected a symbol such as AAPL"
        elif problem["type"] != "value_error":
            value: Any = problem["input"]
            text = f"was {shown(value)}; {text[0].lower()}{text[1:]}"
        msg = f"{place}: {column}: {text}"
        raise DeclarationError(msg) from error


def _require_separate_stints(path: Path, members: list[tuple[int, Member]]) -> None:
    earlier: dict[str, list[Member]] = {}
    for line, member in members:
        stints = earlier.setdefault(member.symbol, [])
        for stint in stints:
            try:
                order_stints((stint, member))
            except ValueError as error:
                msg = f"{path}:{line}: first_session: {error}"
                raise DeclarationError(msg) from error
        stints.append(member)
