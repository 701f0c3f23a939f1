"""A CSV file as rows with line numbers: decoded, delimited and bounded, every fault named by its line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.connectors.csv.config import CsvConfig
from isthmus.kernel.errors import Problem, Rejected

LINES_MAX = 100_000
COLUMNS_MAX = 200
CELL_CHARACTERS_MAX = 10_000
PROBLEMS_MAX = 50
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: the line it starts on, and its cells by header."""

    line: int
    cells: dict[str, str]


class Faults:
    """Collects what is wrong, so that one answer names every line (up to a limit)."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, line: int, column: str, message: str, remedy: str = "") -> None:
        """Note a fault; beyond the limit it is only known that there are more."""
        if len(self.found) < PROBLEMS_MAX:
            path = f"line:{line}:{column}" if column else f"line:{line}"
            self.found.append(Problem(path=path, message=message, remedy=remedy))

    def raise_if_any(self) -> None:
        """Raise one `Rejected` about everything found; nothing of the file is imported then."""
        if not self.found:
            return
        first = self.found[0]
        more = f" There are {len(self.found) - 1} more problems." if len(self.found) > 1 else ""
        raise Rejected(
            f"{first.path} {first.message}.{more} Nothing was imported.",
            remedy=first.remedy,
            problems=tuple(self.found),
        )


def rows(body: bytes, config: CsvConfig) -> tuple[list[str], list[Row]]:
    """Return the header and all rows; raise `Rejected` if the file is not a usable table."""
    text = _decoded(body, config.encoding)
    faults = Faults()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, config), strict=True)
    found: list[Row] = []
    header: list[str] = []
    for line, cells in _lines(reader, faults):
        if not header:
            header = [each.strip() for each in cells]
            _check_header(header, line, faults)
            faults.raise_if_any()
        elif len(cells) != len(header):
            faults.add(
                line, "", f"has {len(cells)} cells where the header has {len(header)}", "Quote delimiters."
            )
        else:
            for name, cell in zip(header, cells, strict=True):
                if len(cell) > CELL_CHARACTERS_MAX:
                    faults.add(line, name, f"is longer than {CELL_CHARACTERS_MAX} characters")
            found.append(
                Row(line=line, cells={name: cell.strip() for name, cell in zip(header, cells, strict=True)})
            )
    if not found:
        faults.add(
            2, "", "is missing: the file holds no rows", "Put the column names on line 1 and items below."
        )
    faults.raise_if_any()
    return header, found


def nearest(name: str, known: list[str]) -> str:
    """Return the remedy for an unknown name."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known columns: {', '.join(known)}."


def _decoded(body: bytes, encoding: str) -> str:
    try:
        text = body.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as cause:
        line = body[: cause.start].count(b"\n") + 1
        raise _one(
            line, f"is not {encoding}", "Save the file in that encoding, or set `encoding`."
        ) from cause
    if not text.strip():
        raise _one(1, "is empty", "Put the column names on line 1.")
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise _one(line, "holds a zero character", "Set `encoding`, or export the file as text.")
    return text


def _delimiter(text: str, config: CsvConfig) -> str:
    if config.delimiter != "auto":
        return config.delimiter
    first = next(line for line in text.splitlines() if line.strip())
    return max(_DELIMITERS, key=first.count)


def _lines(reader: Iterator[list[str]], faults: Faults) -> Iterator[tuple[int, list[str]]]:
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            faults.add(
                getattr(reader, "line_num", line), "", f"is not CSV: {cause}", "Close the quotes of the cell."
            )
            faults.raise_if_any()
            return
        if any(each.strip() for each in cells):
            yield line, cells
        line = int(getattr(reader, "line_num", line)) + 1
        if line > LINES_MAX:
            faults.add(line, "", f"is beyond the limit of {LINES_MAX} lines", "Split the file.")
            faults.raise_if_any()


def _check_header(header: list[str], line: int, faults: Faults) -> None:
    if len(header) > COLUMNS_MAX:
        faults.add(line, "", f"has more than {COLUMNS_MAX} columns")
    for position, name in enumerate(header):
        if not name:
            faults.add(line, "", f"has no name for column {position + 1}", "Name every column.")
        elif name in header[:position]:
            faults.add(line, name, "names this column twice", "Remove or rename one.")


def _one(line: int, message: str, remedy: str) -> Rejected:
    return Rejected(
        f"line:{line} {message}. Nothing was imported.",
        remedy=remedy,
        problems=(Problem(path=f"line:{line}", message=message, remedy=remedy),),
    )
