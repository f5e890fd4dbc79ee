"""Whether a bundle can be a version, in words for the one who wrote it."""

from __future__ import annotations

import asyncio
import gzip
import re

from smply.contract import BUNDLE_BYTES_MAX, BUNDLE_GZIPPED_BYTES_MAX
from smply.errors import BuildError, NotBuilt
from smply.runtime.excerpt import excerpt
from smply.runtime.process import Ended, Process
from smply.runtime.protocol import Check, Checked, CheckInfo, FailedWire

_DEFINITION_BYTES_MAX = 10_000_000
_NAMES_MAX = 10_000
_NAMES_LENGTH_MAX = 1_000_000
_XSTATE = re.compile(r"bundled|[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")

_HINTS = {
    "no-default-export": "export default createMachine(…)",
    "not-a-machine": "export default createMachine(…)",
    "unsupported-xstate": "smply runs xstate 4 and 5",
}
_FOREIGN = re.compile(r'cannot import "(?!npm:/?xstate)')
_MISSING = re.compile(r".*\b(allowRead|allowWrite)\b")
_PLACE = re.compile(r":(?P<line>[0-9]{1,9}):(?P<column>[0-9]{1,9})$")


async def check_bundle(process: Process, code: bytes, label: str, seconds: float) -> Checked:
    """Look at a bundle with a process that is thrown away after it."""
    # To compress the largest takes half a second, which the event loop does not have.
    text = await asyncio.to_thread(_text, code)
    await process.start()
    try:
        answer = await process.ask(Check, text, label, patience=seconds)
    except Ended as end:
        raise BuildError(f"the code of {label} {end.reason} while it was loaded") from end
    if isinstance(answer, FailedWire):
        raise BuildError(_sentence(answer, text, label), hint=_hint(answer))
    if not _is_sound(answer.info, code):
        raise BuildError(f"the code of {label} broke the protocol of its process")
    return _checked(answer.info, code)


def _is_sound(info: CheckInfo, code: bytes) -> bool:
    """Whether a check can have found this: the code may have written it in our host's place.

    What the host makes of an import is not twice as long.
    """
    return (
        (info.code is None or len(info.code) <= 2 * len(code))
        and bytes(info.definition).startswith(b"{")
        and all(map(_are_few, (info.exports, info.services)))
        and _XSTATE.fullmatch(info.xstate) is not None
    )


def _are_few(names: list[str]) -> bool:
    return len(names) <= _NAMES_MAX and sum(map(len, names)) <= _NAMES_LENGTH_MAX


def _sentence(failure: FailedWire, code: str, label: str) -> str:
    # Deno draws the line below the sentence, and names its place at the end.
    text, _, drawn = failure.message.partition("\n")
    found = _PLACE.search(drawn.rstrip()) if failure.kind == "syntax" else None
    lines = code.split("\n")
    # What the code itself threw may look like that.
    if found is None or not 0 < int(found["line"]) <= len(lines):
        return failure.message + (f"\n{failure.stack}" if failure.stack else "")
    number = int(found["line"])
    line = lines[number - 1]
    return excerpt(label, number, _column(line, int(found["column"])), text, line)


def _column(line: str, told: int) -> int:
    """The column in characters, from 1, of one in Deno's drawing, where a tab takes two."""
    wide = 0
    for column, character in enumerate(line, 1):
        wide += 2 if character == "\t" else 1
        if wide >= told:
            return column
    return len(line) + 1


def _hint(failure: FailedWire) -> str | None:
    if failure.kind == "bad-import" and _FOREIGN.match(failure.message):
        return "build it with --node, which bundles what it imports"
    if failure.kind == "missing-export" and (missing := _MISSING.match(failure.message)):
        return f"export const {missing[1]} = ({{ authContext }}) => authContext.sub === …"
    return _HINTS.get(failure.kind)


def _text(code: bytes) -> str:
    """The bundle as text, within its limits (S22)."""
    if len(code) > BUNDLE_BYTES_MAX:
        raise _too_large(f"{len(code):,} bytes", BUNDLE_BYTES_MAX)
    # What is small as it is need not be compressed to know that.
    gzipped = len(gzip.compress(code)) if len(code) > BUNDLE_GZIPPED_BYTES_MAX // 2 else 0
    if gzipped > BUNDLE_GZIPPED_BYTES_MAX:
        raise _too_large(f"{gzipped:,} bytes gzipped", BUNDLE_GZIPPED_BYTES_MAX)
    try:
        # A byte order mark is no part of the text, and would move every place in it.
        return code.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BuildError("the bundle is not UTF-8 text") from exc


def _too_large(size: str, limit: int) -> BuildError:
    return BuildError(
        f"the bundle has {size}; the limit is {limit:,}",
        code="too-large",
        hint="leave out what the machine does not need; load data through an event",
    )


def _checked(info: CheckInfo, code: bytes) -> Checked:
    if info.services:
        services = "; ".join(_said(each) for each in info.services)
        raise NotBuilt(
            f"services are not supported yet: it {services}",
            hint="smply runs machines without invoke and spawn for now",
        )
    if len(info.definition) > _DEFINITION_BYTES_MAX:
        raise BuildError(
            f"the states of the machine take {len(info.definition):,} bytes to describe;"
            f" the limit is {_DEFINITION_BYTES_MAX:,}",
            code="too-large",
            hint="keep what there are many of in the context",
        )
    return Checked(
        code if info.code is None else info.code.encode(),
        info.xstate,
        info.adapter,
        info.exports,
        bytes(info.definition),
        info.states,
        info.transitions,
    )


_THIRD_PERSON = {"invoke": "invokes", "activity": "starts", "spawnChild": "spawns"}


def _said(service: str) -> str:
    """ "invoke fetchUser in a.b" as it follows "it"."""
    verb, _, rest = service.partition(" ")
    return f"{_THIRD_PERSON.get(verb, verb)} {rest}"
