"""How commands answer: a list, a thing or a deed, drawn for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from smply.errors import NotFound, SmplyError

if TYPE_CHECKING:
    from rich.text import Text

    from smply.cli._command import Given
    from smply.cli._frame import Frame
    from smply.cli._lists import Fact

T = TypeVar("T")


def show_list(
    given: Given, items: Sequence[T], draw: Callable[[Sequence[T], Frame], Iterable[Text]],
    empty: str, command: str,
) -> None:  # fmt: skip
    """A table, or a sentence and the command that would put something into it; or a JSON array."""
    if not given.output.for_people:
        given.output.json(items)
    elif items:
        given.output.lines(lambda frame: draw(items, frame), given.clock.now())
    else:
        given.output.empty(empty, command)


def show_facts(given: Given, value: Any, facts: Mapping[str, Fact], *, once: bool = False) -> None:
    """Labels and values, one a line, without those that are None; or JSON, a secret with `once`."""
    if not given.output.for_people:
        (given.output.secrets if once else given.output.json)(value)
        return
    from smply.cli._lists import fact_lines

    given.output.lines(lambda frame: fact_lines(facts, frame), given.clock.now())


def tell(
    given: Given, verb: str, text: str, value: Mapping[str, Any], then: str | None = None
) -> None:
    """`Deleted    key sbk_…`, and what comes next; or JSON."""
    if not given.output.for_people:
        given.output.json(dict(value))
        return
    given.output.step(verb, text)
    if then is not None:
        given.output.next(then)


async def tell_once(given: Given, work: Awaitable[T], show: Callable[[T], None], what: str) -> None:
    """Make what is told this once, and `show` it. Ctrl-C meanwhile gives it a moment; and where
    nothing came of that, it is said that nobody knows whether `what` was done."""
    from smply.cli._interrupt import to_its_end

    def lost() -> None:
        given.output.remark(f"interrupted: {what} all the same, perhaps; look before you try again")

    result = await to_its_end(work, show, lost)
    try:
        show(result)
    except SmplyError as exc:
        exc.hint = f"{what}, and what is told once was not: look for it, and delete it"
        raise


@contextmanager
def missing(command: str) -> Iterator[None]:
    """What is not there is told with the command that lists what is (F34)."""
    try:
        yield
    except NotFound as exc:
        exc.hint = exc.hint or command
        raise
