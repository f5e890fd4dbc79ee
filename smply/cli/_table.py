"""Rows of cells in columns: the widest column gives way first, and nothing wraps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_WIDTH_MIN = 4


@dataclass(frozen=True)
class Column:
    """A heading, and whether its cells are numbers, which stand to the right.

    One that is `whole` gives way last: the next command needs what it holds.
    """

    heading: str
    right: bool = False
    whole: bool = False


def beside(*parts: Text) -> Text:
    """Texts in one line, each in its own style; `+` would lend the first one's to all."""
    return Text.assemble(*parts)


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int, ellipsis: str
) -> list[Text]:
    """A list as lines: headings dim and in capitals, no frame, one space before each line."""
    headings = [Text(column.heading, style="dim") for column in columns]
    lines = columns_of(
        [headings, *rows], width - 1, ellipsis, [c.right for c in columns],
        whole=[c.whole for c in columns],
    )  # fmt: skip
    return [beside(Text(" "), line) for line in lines]


def columns_of(
    rows: Sequence[Sequence[Text]],
    width: int,
    ellipsis: str,
    right: Sequence[bool] = (),
    gap: int = 2,
    whole: Sequence[bool] = (),
) -> list[Text]:
    """Rows of equally many cells as lines whose columns stand below each other.

    Where the narrowest columns do not fit, they move together, then those that are `whole` give
    way, and at last the line is cut off.
    """
    if not rows:
        return []
    wanted = [max(cell_len(row[i].plain) for row in rows) for i in range(len(rows[0]))]
    first = [at for at in range(len(wanted)) if not (whole and whole[at])]
    widths = _fitting(wanted, width, gap, [first])
    if _width(widths, gap) > width:
        gap = 1
        widths = _fitting(wanted, width, gap, [first, range(len(wanted))])
    lines = [_line(row, widths, ellipsis, right, gap) for row in rows]
    return [fitted_or_whole(line, width, ellipsis) for line in lines]


def _width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (sum(1 for width in widths if width) - 1)


def _fitting(widths: list[int], width: int, gap: int, turns: Sequence[Sequence[int]]) -> list[int]:
    """The widths, the widest made smaller until the line fits: those of one turn after another."""
    widths = list(widths)
    for giving in turns:
        while giving and _width(widths, gap) > width:
            at = max(giving, key=widths.__getitem__)
            if widths[at] <= _WIDTH_MIN:
                break
            widths[at] -= 1
    return widths


def _line(
    row: Sequence[Text], widths: Sequence[int], ellipsis: str, right: Sequence[bool], gap: int
) -> Text:
    line = Text()
    for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
        if not width:
            continue
        if line:
            line.append(" " * gap)
        line.append_text(fitted(cell, width, ellipsis, right=bool(right) and right[at]))
    line.rstrip()
    return line


def fitted_or_whole(line: Text, width: int, ellipsis: str) -> Text:
    """The line, cut only where it would wrap."""
    return fitted(line, width, ellipsis) if cell_len(line.plain) > width else line


def fitted(cell: Text, width: int, ellipsis: str, *, right: bool = False) -> Text:
    """A cell of exactly this width, cut with an ellipsis or filled with spaces."""
    length = cell_len(cell.plain)
    if length > width:
        kept = set_cell_size(cell.plain, max(width - len(ellipsis), 0)).rstrip()
        kept = kept.removesuffix(ellipsis)
        cut = cell[: len(kept)] if kept else Text(style=cell.style)
        cell = beside(cut, Text(ellipsis, style="dim"))
        length = cell_len(cell.plain)
    space = Text(" " * max(width - length, 0))
    return beside(space, cell) if right else beside(cell, space)
