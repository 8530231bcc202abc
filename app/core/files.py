"""Files that operators hand in: CSV and YAML read line by line, with every fault named by its line.

Nothing here touches a database; `core/loading.py` brings what was read into the tables.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from app.core.cells import NotReadable, Read
from app.core.errors import Problem
from app.core.i18n import Words

# So many faults are told one by one; of a file with more the count says enough.
TOLD_AT_MOST = 100


class BadLine(NamedTuple):
    """One fault of a file: where it is, what was met there, and what is wrong with it."""

    line: int
    field: str | None
    value: str | None
    words: Words


class FileRefused(Problem):
    slug, status = "file-refused", 422
    title = Words(zh="文件未载入", en="The file was not loaded")
    advice = Words(
        zh="{what}：{refused} 行有误，未载入任何内容；第一处在第 {line} 行：{zh}",
        en="{what}: {refused} lines are wrong, so nothing was loaded; the first is {line}: {en}",
    )

    def __init__(self, what: str, refused: int, lines: Sequence[BadLine]) -> None:
        first = lines[0]
        super().__init__(
            what=what,
            refused=refused,
            line=first.line,
            zh=first.words.zh,
            en=first.words.en,
            lines=[
                {
                    "line": bad.line,
                    "field": bad.field,
                    "value": bad.value,
                    "zh": bad.words.zh,
                    "en": bad.words.en,
                }
                for bad in lines
            ],
        )


@dataclass
class Faults:
    """The faults found in one file; each line counts once, however much is wrong with it."""

    bad: list[BadLine] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)

    def note(self, line: int, name: str | None, value: object, words: Words) -> None:
        """Add a fault. `value` is shortened, since a broken quote can swallow half a file."""
        self.lines.add(line)
        if len(self.bad) < TOLD_AT_MOST:
            self.bad.append(BadLine(line, name, None if value is None else str(value)[:80], words))

    def refuse(self, what: str) -> None:
        """Raise FileRefused if anything is wrong."""
        if self.lines:
            raise FileRefused(what, len(self.lines), sorted(self.bad))


# --- CSV ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column of a CSV file: its heading, how its cells are read, and whether one may be empty.

    An empty cell of a column that may be empty means "not known" and reads as `empty`. `kind` is
    the PostgreSQL type of what is read.
    """

    name: str
    read: Read
    kind: str = "text"
    required: bool = False
    empty: Any = None


@dataclass(frozen=True)
class Made:
    """A value that is made of a whole line, if the file has the column it `needs`."""

    name: str
    kind: str
    needs: str


@dataclass(frozen=True)
class CsvFile:
    """What a CSV file must look like: UTF-8, a line of headings, commas.

    The headings may come in any order; a column that may be empty may be left out altogether, and
    then every line of it reads as `empty`. What is not known is refused, so that a misspelt heading
    is not taken for a column left out.
    `judge` sees each line as a whole, adds the values that are `made`, and raises NotReadable.
    """

    what: str
    columns: tuple[Column, ...]
    made: tuple[Made, ...] = ()
    judge: Callable[[dict[str, Any]], None] = lambda row: None

    def headings(self, cells: Sequence[str], faults: Faults) -> list[Column]:
        """Match the first line with the columns; faults are noted for line 1."""
        known = {column.name: column for column in self.columns}
        names = [cell.strip().lstrip("\ufeff") for cell in cells]
        for name in names:
            if name not in known:
                faults.note(1, name, None, Words(zh="未知的列", en="there is no such column"))
            elif names.count(name) > 1:
                faults.note(1, name, None, Words(zh="列重复", en="the column is there twice"))
        for column in self.columns:
            if column.required and column.name not in names:
                faults.note(1, column.name, None, Words(zh="缺少此列", en="the column is missing"))
        faults.refuse(self.what)
        return [known[name] for name in names]


def rows_of(
    file: CsvFile, lines: Iterable[str], faults: Faults
) -> tuple[frozenset[str], Iterator[tuple[int, dict[str, Any]]]]:
    """Read a CSV file: what each line will hold, and its good lines as (line number, values).

    Faults are noted while the lines are read; a fault in the headings raises FileRefused at once.
    """
    reader = csv.reader(lines, strict=True)
    try:
        columns = file.headings(next(reader, []), faults)
    except (csv.Error, UnicodeDecodeError) as error:
        faults.note(1, None, None, _unreadable(error))
        faults.refuse(file.what)
        raise
    present = {column.name for column in columns}
    present |= {made.name for made in file.made if made.needs in present}
    return frozenset(present), _rows(file, columns, reader, faults)


def _rows(
    file: CsvFile, columns: Sequence[Column], reader: Any, faults: Faults
) -> Iterator[tuple[int, dict[str, Any]]]:
    width = len(columns)
    empties = {column.name: column.empty for column in file.columns}
    while True:
        # A quoted cell may hold line breaks, so a row is named by the line it begins on.
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            # What follows cannot be told apart from the broken cell.
            faults.note(line, None, None, _unreadable(error))
            return
        if cells is None:
            return
        if not any(cells):
            continue
        if len(cells) != width:
            faults.note(
                line,
                None,
                None,
                Words(
                    zh=f"应有 {width} 格，实有 {len(cells)} 格",
                    en=f"it has {len(cells)} cells instead of {width}",
                ),
            )
            continue
        row = _row(line, columns, empties, cells, faults)
        if row is None:
            continue
        try:
            file.judge(row)
        except NotReadable as wrong:
            faults.note(line, wrong.field, row.get(wrong.field or ""), wrong.words)
            continue
        yield line, row


def _row(
    line: int,
    columns: Sequence[Column],
    empties: Mapping[str, Any],
    cells: Sequence[str],
    faults: Faults,
) -> dict[str, Any] | None:
    row = dict(empties)
    good = True
    for column, raw in zip(columns, cells, strict=True):
        cell = raw.strip()
        if cell:
            try:
                row[column.name] = column.read(cell)
                continue
            except NotReadable as wrong:
                faults.note(line, column.name, cell, wrong.words)
                good = False
        elif column.required:
            faults.note(line, column.name, None, Words(zh="不能为空", en="must not be empty"))
            good = False
    return row if good else None


def readable(what: str, lines: Iterable[str]) -> Iterator[str]:
    """Pass lines on; raises FileRefused where they are not text of the encoding they should be."""
    try:
        yield from lines
    except UnicodeDecodeError as error:
        faults = Faults()
        faults.note(1, None, None, _unreadable(error))
        faults.refuse(what)


def _unreadable(error: Exception) -> Words:
    if isinstance(error, UnicodeDecodeError):
        return Words(
            zh="不是 UTF-8 文本：请另存为 CSV UTF-8，或指定编码（如 gb18030）",
            en="not UTF-8: save it as CSV UTF-8, or name its encoding (such as gb18030)",
        )
    return Words(zh=f"不是有效的 CSV:{error}", en=f"not CSV: {error}")


# --- YAML -----------------------------------------------------------------------------------------

_LINE = "__line__"


class _Lined(yaml.SafeLoader):
    """Reads plain YAML and keeps in each mapping the line it begins on."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping with its line; a name that stands there twice is refused."""
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is there twice", node.start_mark
                )
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        made[_LINE] = node.start_mark.line + 1
        return made


def entries_of(
    what: str, document: str, key: str
) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """Read a YAML document: its other top-level values, and the entries of the list `key`.

    Each entry comes with the line it begins on. Raises FileRefused for what is not YAML, or not
    of this form.
    """
    faults = Faults()
    data: Any = None
    try:
        # A loader of our own that is derived from SafeLoader, so nothing but plain values is made.
        data = yaml.load(document, Loader=_Lined)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "not YAML"
        faults.note(line, None, None, Words(zh=f"不是有效的 YAML:{problem}", en=problem))
    except yaml.YAMLError as error:
        faults.note(1, None, None, Words(zh=f"不是有效的 YAML:{error}", en=f"not YAML: {error}"))
    faults.refuse(what)
    found = data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, list):
        faults.note(1, key, None, Words(zh=f"缺少列表 {key}", en=f"there is no list {key!r}"))
        faults.refuse(what)
    entries = []
    for entry in found or []:
        if isinstance(entry, dict):
            entries.append((entry[_LINE], _plain(entry)))
        else:
            words = Words(zh="须为键值对", en="each entry has names and values")
            faults.note(data[_LINE], key, entry, words)
    faults.refuse(what)
    return _plain({name: value for name, value in data.items() if name != key}), entries


Entry = TypeVar("Entry", bound=BaseModel)


def checked(
    kind: type[Entry], entries: Iterable[tuple[int, Mapping[str, Any]]], faults: Faults
) -> list[tuple[int, Entry]]:
    """Read entries as a kind of input, by their lines; what is wrong is noted by line and field."""
    good = []
    for line, given in entries:
        try:
            good.append((line, kind.model_validate(given)))
        except ValidationError as wrong:
            for error in wrong.errors():
                place = ".".join(map(str, error["loc"])) or None
                value = None if error["type"] == "missing" else error["input"]
                faults.note(line, place, value, Words(f"填写有误：{error['msg']}", error["msg"]))
    return good


def _plain(value: Any) -> Any:
    """Take the lines out again, at every depth."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name != _LINE}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
