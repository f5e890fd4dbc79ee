"""One bundle from a source file and all it imports, XState apart.

A file that imports only XState goes through `deno transpile`, which takes some 50 ms; everything
else, and every error, through esbuild. XState stays outside: `xstate` becomes `npm:xstate@<major>`,
which a check sends to the exact copy that smply ships (C16).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smply.errors import BuildError
from smply.runtime import sandbox
from smply.runtime.children import kill
from smply.runtime.excerpt import excerpt

_BUNDLER_SECONDS = 120.0
_NEWEST = 5
_XSTATE = re.compile(r"xstate(?P<subpath>/.*)?")
_NPM_XSTATE = re.compile(r"npm:/?xstate(?:[@/].*)?")
_TYPESCRIPT = {".ts", ".mts", ".cts", ".tsx", ".jsx"}
_OPTIONS = [
    "--bundle", "--format=esm", "--platform=browser", "--target=es2022",
    "--minify", "--keep-names", "--legal-comments=none", "--drop:debugger",
    '--define:process.env.NODE_ENV="production"',
    "--external:npm:*", "--log-level=error", "--log-limit=8", "--color=false",
]  # fmt: skip

_builds = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Build:
    """A file to build, with what every step of it needs; all paths are real and absolute."""

    file: Path
    project: Path
    work: Path
    home: Path
    dist: Path


async def build_file(path: Path, home: Path, dist: Path) -> bytes:
    """The bundle of a file; BuildError when it cannot be made.

    `xstate` is that of the `package.json` which the import resolves to. Where none is installed,
    it is the major that the nearest `package.json` asks for, and else the newest that smply ships.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise BuildError(f"{path} {what}", hint="name a TypeScript or JavaScript file")
    file = path.resolve()
    _require_text(file)
    work = home / f"build-{next(_builds)}"
    work.mkdir()
    try:
        build = _Build(file, _project(file), work, home, dist)
        source = await _single_file(build)
        return source.encode() if source is not None else await _bundle(build)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _require_text(file: Path) -> None:
    try:
        file.read_bytes().decode()
    except OSError as exc:
        raise BuildError(f"{_shown_path(file)} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BuildError(f"{_shown_path(file)} is not UTF-8 text") from exc


# A file by itself.


async def _single_file(build: _Build) -> str | None:
    """The file as JavaScript, if XState is all it imports; None leaves it to esbuild."""
    script = build.work / "bundle.js"
    if build.file.suffix in _TYPESCRIPT:
        status, _, _ = await _run(sandbox.transpile_command(build.file, script), build, build.work)
        if status != 0:
            return None
    else:
        shutil.copyfile(build.file, script)
    # Each import is told once, however often it stands there: rename until none is left.
    while (found := await _imports(script, build)) is not None:
        bare = [each for each in found if _XSTATE.fullmatch(each.specifier)]
        if any(each not in bare and not _NPM_XSTATE.fullmatch(each.specifier) for each in found):
            return None
        source = script.read_text("utf-8")
        if not bare:
            return source
        renamed = _rename(source, bare, _major(build.file))
        if renamed is None:
            return None
        script.write_text(renamed, "utf-8")
    return None


@dataclass(frozen=True, slots=True)
class _Import:
    """An import: its specifier, and the line and column of the literal with its quotes."""

    specifier: str
    line: int
    start: int
    end: int


async def _imports(script: Path, build: _Build) -> list[_Import] | None:
    """What a script imports, once each, as Deno's parser tells it; None if it cannot."""
    status, said, _ = await _run(sandbox.imports_command(script), build, build.work)
    try:
        told = json.loads(said)
        module = next(each for each in told["modules"] if each["specifier"] == told["roots"][0])
        return [_import(each) for each in module.get("dependencies", ())] if not status else None
    except (ValueError, LookupError, StopIteration):
        return None


def _import(dependency: dict[str, Any]) -> _Import:
    span = dependency["code"]["span"]
    start, end = span["start"], span["end"]
    return _Import(dependency["specifier"], start["line"], start["character"], end["character"])


def _rename(source: str, imports: list[_Import], major: int) -> str | None:
    """The source with these imports sent to a major; None if they do not stand where told."""
    lines = source.split("\n")
    for each in sorted(imports, key=lambda found: (found.line, found.start), reverse=True):
        line = lines[each.line]
        literal = line[each.start : each.end]
        if literal[1:-1] != each.specifier:
            return None
        quote = literal[0]
        renamed = f"{quote}npm:xstate@{major}{each.specifier.removeprefix('xstate')}{quote}"
        lines[each.line] = line[: each.start] + renamed + line[each.end :]
    return "\n".join(lines)


# A file with all it imports.


async def _bundle(build: _Build) -> bytes:
    major = _major(build.file)
    made, told = build.work / "bundle.js", build.work / "meta.json"
    options = [
        f".{os.sep}{build.file.relative_to(build.project)}",
        *_OPTIONS,
        f"--alias:xstate=npm:xstate@{major}",
        f"--outfile={made}",
        f"--metafile={told}",
    ]
    command = sandbox.bundler_command(build.dist, build.project, build.work, options)
    status, _, said = await _run(command, build, build.project)
    if status != 0:
        raise _build_error(said, build)
    meta = json.loads(told.read_bytes())
    _require_bundled(meta, build)
    _require_one_major(meta, build)
    return made.read_bytes()


def _require_bundled(meta: dict[str, Any], build: _Build) -> None:
    """Refuse what esbuild leaves to be imported at run time, where nothing can be (C16)."""
    kept = {each["path"] for made in meta["outputs"].values() for each in made["imports"]}
    for name, file in meta["inputs"].items():
        for specifier in [each["path"] for each in file["imports"] if each["path"] in kept]:
            if not _NPM_XSTATE.fullmatch(specifier):
                where = build.project / name
                text = _found(where, specifier, f'cannot bundle "{specifier}"')
                raise BuildError(text, hint=_hint(specifier, where))


def _found(file: Path, specifier: str, text: str) -> str:
    """The text with the first line that has the specifier in quotes, if there is one."""
    quoted = re.compile(f"([\"'`]){re.escape(specifier)}\\1")
    for number, line in enumerate(file.read_text("utf-8", "replace").split("\n"), 1):
        if (found := quoted.search(line)) is not None:
            return excerpt(_shown_path(file), number, found.start() + 1, text, line)
    return f"{_shown_path(file)}: {text}"


def _require_one_major(meta: dict[str, Any], build: _Build) -> None:
    """Refuse a bundle whose files mean different XStates (C16)."""
    users: dict[int, str] = {}
    for name, file in meta["inputs"].items():
        if any(_NPM_XSTATE.fullmatch(each["path"]) for each in file["imports"]):
            users.setdefault(_major(build.project / name), name)
    if len(users) > 1:
        told = ", ".join(f"{major} in {name}" for major, name in sorted(users.items()))
        raise BuildError(
            f"two majors of xstate in one bundle: {told}",
            hint="npm ls xstate tells who brings which",
        )


_ERROR = re.compile(
    r"\[ERROR\] (?P<text>.+?)(?: \[[\w-]+\])?\n"
    r"(?:\n +(?P<file>\S.*?):(?P<line>\d+):(?P<column>\d+):\n)?"
)
_UNRESOLVED = re.compile(r'Could not resolve "(?P<name>.+)"')
_PACKAGE = re.compile(r"(?:@[^/:]+/)?[^/.@#:][^/:]*(?=/|$)")
_NPM_PACKAGE = re.compile(r"npm:/?(?P<name>(?:@[^/]+/)?[^/]+)")


def _build_error(said: str, build: _Build) -> BuildError:
    """The first of esbuild's errors in our words, with the place and the line itself."""
    errors = list(_ERROR.finditer(said))
    error = next((each for each in errors if each["file"] is not None), None)
    if error is None:
        last = errors[0]["text"] if errors else said.strip().rpartition("\n")[2]
        return BuildError(f"the bundler stopped{': ' + last if last else ''}")
    file = build.project / error["file"]
    text, hint = _words(error["text"], said, file, build)
    return BuildError(_placed(file, error, text), hint=hint)


def _placed(file: Path, error: re.Match[str], text: str) -> str:
    """esbuild counts columns from 0 and in bytes."""
    number = int(error["line"])
    lines = file.read_text(errors="replace").split("\n")
    line = lines[number - 1] if number <= len(lines) else ""
    before = line.encode()[: int(error["column"])].decode(errors="replace")
    return excerpt(_shown_path(file), number, len(before) + 1, text, line)


def _shown_path(file: Path) -> str:
    """Relative to where the user is, if it lies below; else whole."""
    shown = os.path.relpath(file, os.path.realpath(os.curdir))
    return str(file) if shown.startswith(os.pardir) else shown


def _words(text: str, said: str, file: Path, build: _Build) -> tuple[str, str | None]:
    """What is wrong, in our words, and what to do."""
    unresolved = _UNRESOLVED.fullmatch(text)
    if unresolved is None:
        return text, None
    name = unresolved["name"]
    if name.startswith("node:") or "is built into node" in said:
        return f'a machine cannot use "{name}"', "machines run without Node, files and network"
    if "Permission denied" in said:
        return f'cannot find "{name}"', f"a build reads nothing outside {build.project}"
    return f'cannot find "{name}"', _hint(name, file)


def _hint(name: str, file: Path) -> str | None:
    """What to do about an import of a file that is not to be had by that name."""
    if (wanted := _NPM_PACKAGE.match(name)) is not None:
        return f"install it and import it by its name: npm install {wanted['name']}"
    if re.match(r"[a-z]+:", name):
        return "install a package that holds it with npm, and import that by its name"
    package = _PACKAGE.match(name)
    if package is None:
        return None
    if any((folder / "node_modules" / package[0]).is_dir() for folder in file.parents):
        return f'{package[0]} is installed, but exports no "{name}"'
    return f"npm install {package[0]}"


# Which XState, which project.


def _major(file: Path) -> int:
    """The major of the XState that a file means; BuildError if smply does not run it."""
    for folder in file.parents:
        installed = _package(folder / "node_modules" / "xstate")
        if installed is not None:
            return _ours(str(installed.get("version", "")), f"{file.name} imports xstate")
    asking = next((found for folder in file.parents if (found := _package(folder))), {})
    wanted = {**_table(asking, "devDependencies"), **_table(asking, "dependencies")}
    if "xstate" in wanted:
        return _ours(str(wanted["xstate"]), "package.json asks for xstate")
    return _NEWEST


def _ours(version: str, who: str) -> int:
    found = re.search(r"\d+", version)
    if found is not None and found[0] in ("4", "5"):
        return int(found[0])
    raise BuildError(
        f"{who} {version}, but smply runs xstate 4 and 5", hint=f"npm install xstate@{_NEWEST}"
    )


def _package(folder: Path) -> dict[str, Any] | None:
    try:
        package = json.loads((folder / "package.json").read_bytes())
    except (OSError, ValueError):
        return None
    return package if isinstance(package, dict) else None


def _table(package: dict[str, Any], name: str) -> dict[str, Any]:
    table = package.get(name)
    return table if isinstance(table, dict) else {}


def _project(file: Path) -> Path:
    """The outermost directory above a file that holds packages: all that a build may read."""
    outermost = file.parent
    for folder in file.parents:
        if (folder / "package.json").is_file() or (folder / "node_modules").is_dir():
            outermost = folder
    return outermost


async def _run(command: list[str], build: _Build, cwd: Path) -> tuple[int, str, str]:
    """Run Deno with nothing but what it needs: its status, and what it said on either stream."""
    child = await asyncio.create_subprocess_exec(
        *sandbox.confined(command, None),
        cwd=cwd,
        env=sandbox.environment(build.home),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), _BUNDLER_SECONDS)
    except TimeoutError:
        raise BuildError(f"the build took longer than {_BUNDLER_SECONDS:g} s") from None
    finally:
        kill(child)
        await child.wait()
    assert child.returncode is not None
    return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")
