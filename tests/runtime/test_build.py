"""From a source file to one bundle, and the words where that fails (S24, C16, F22)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smply.errors import BuildError
from tests.runtime.support import Lab

pytestmark = pytest.mark.anyio

TOGGLER = """import { createMachine } from "xstate";
import type { AllowRead } from "@statebacked/machine";
import { AllowWrite } from "@statebacked/machine";

export const allowRead: AllowRead = ({ authContext }) => authContext.sub === "a";
export const allowWrite: AllowWrite = () => true;

// import { x } from "xstate" is no import, nor is this:
export const text = `import x from "xstate"; é 😀`;

export default createMachine({ id: "toggler", initial: "off", states: { off: {} } });
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory where the user is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, name: str, content: str) -> Path:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return Path(name)


def install(project: Path, name: str, version: str = "1.0.0", **files: str) -> None:
    """A package in node_modules; `index` is its main file."""
    folder = f"node_modules/{name}"
    package = {"name": name, "version": version, "main": "index.js"}
    write(project, f"{folder}/package.json", json.dumps(package))
    for file, content in files.items():
        write(project, f"{folder}/{file}.js", content)


async def test_a_file_that_imports_only_xstate_and_types(lab: Lab, project: Path) -> None:
    bundle = (await lab.runtime.build(write(project, "toggler.ts", TOGGLER))).decode()

    assert bundle.startswith('import { createMachine } from "npm:xstate@5";\n')
    assert "@statebacked" not in bundle
    assert '`import x from "xstate"; é 😀`' in bundle
    assert (await lab.runtime.check(bundle.encode(), "toggler")).adapter == 5


@pytest.mark.parametrize(
    ("version", "xstate"), [("4.38.3", "npm:xstate@4"), ("5.20.0", "npm:xstate@5")]
)
async def test_xstate_is_the_major_that_is_installed(
    lab: Lab, project: Path, version: str, xstate: str
) -> None:
    install(project, "xstate", version)
    file = write(project, "src/toggler.ts", TOGGLER)

    assert f'from "{xstate}"'.encode() in await lab.runtime.build(file)


async def test_xstate_that_is_not_installed_is_what_the_package_asks_for(
    lab: Lab, project: Path
) -> None:
    write(project, "package.json", '{"dependencies": {"xstate": "^4.33.0"}}')

    bundle = await lab.runtime.build(write(project, "toggler.ts", TOGGLER))

    assert b'"npm:xstate@4"' in bundle


async def test_subpaths_and_repeated_imports_are_of_the_same_copy(lab: Lab, project: Path) -> None:
    install(project, "xstate", "4.38.3")
    source = """import { createMachine } from "xstate";
import { isString } from "xstate/lib/utils";
import { assign } from 'xstate';
export const allowRead = () => isString("x");
export const allowWrite = () => true;
export default createMachine({ entry: assign({}) });
"""

    bundle = await lab.runtime.build(write(project, "a.js", source))

    assert bundle.count(b"npm:xstate@4") == 3
    checked = await lab.runtime.check(bundle, "a")
    assert checked.code.count(b"npm:xstate@4.38.3") == 3


async def test_an_import_of_npm_xstate_stands_as_it_is(lab: Lab, project: Path) -> None:
    source = TOGGLER.replace('from "xstate";\nimport', 'from "npm:xstate@4";\nimport')

    bundle = await lab.runtime.build(write(project, "toggler.ts", source))

    assert bundle.startswith(b'import { createMachine } from "npm:xstate@4"')


async def test_what_is_imported_is_bundled_but_for_xstate(lab: Lab, project: Path) -> None:
    install(project, "xstate", "5.20.0")
    install(
        project,
        "shout",
        index="exports.shout = (s) => { debugger; return s + process.env.NODE_ENV; };",
    )
    write(project, "src/words.ts", "/*! ours */ export const word: string = 'hey';")
    source = f"""import {{ shout }} from "shout";
import {{ word }} from "./words";
{TOGGLER}
export const said = shout(word);
export function named() {{ return named.name; }}
"""

    bundle = await lab.runtime.build(write(project, "src/toggler.ts", source))

    checked = await lab.runtime.check(bundle, "toggler")
    assert checked.adapter == 5
    assert b'"npm:xstate@5"' in bundle
    for gone in (b"debugger", b"process.env", b"ours", b"./words"):
        assert gone not in bundle
    assert b'"named"' in bundle


async def test_linked_packages_find_the_packages_beside_them(lab: Lab, project: Path) -> None:
    """pnpm and Deno lay packages out so: each beside its dependencies, the project linked to it."""
    write(project, "package.json", "{}")
    install(project / "node_modules/.pnpm/outer@1", "outer", index='exports.x = require("inner");')
    install(project / "node_modules/.pnpm/outer@1", "inner", index='module.exports = "inner!";')
    link = project / "node_modules/outer"
    link.symlink_to("../node_modules/.pnpm/outer@1/node_modules/outer")
    source = f'import {{ x }} from "outer";\n{TOGGLER}\nexport const found = x;'

    assert b"inner!" in await lab.runtime.build(write(project, "toggler.ts", source))


async def test_a_build_reads_nothing_outside_the_project(lab: Lab, tmp_path: Path) -> None:
    write(tmp_path, "secret.ts", "export const secret = 1;")
    source = 'import { secret } from "../secret";\nexport default secret;'
    write(tmp_path, "project/package.json", "{}")
    file = write(tmp_path, "project/a.ts", source)

    with pytest.raises(BuildError, match=r'cannot find "\.\./secret"'):
        await lab.runtime.build(tmp_path / file)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            'import { createMachine } from "xstate";\n'
            "export default createMachine({\n"
            "  states: { cart: assign( { on: 1 } ] },\n"
            "});\n",
            'src/x.ts:3:37: Expected ")" but found "]"\n\n'
            "    3 │   states: { cart: assign( { on: 1 } ] },\n"
            "      │                                     ^",
            None,
        ),
        (
            'const é = "é";\nimport _ from "lodash";\nexport default _;\n',
            'src/x.ts:2:15: cannot find "lodash"\n\n'
            '    2 │ import _ from "lodash";\n'
            "      │               ^",
            "npm install lodash",
        ),
        (
            'import a from "@scope/name/deep";\nexport default a;\n',
            'src/x.ts:1:15: cannot find "@scope/name/deep"\n\n'
            '    1 │ import a from "@scope/name/deep";\n'
            "      │               ^",
            "npm install @scope/name",
        ),
        (
            'import { a } from "./gone";\nexport default a;\n',
            'src/x.ts:1:19: cannot find "./gone"\n\n'
            '    1 │ import { a } from "./gone";\n'
            "      │                   ^",
            None,
        ),
        (
            'import fs from "fs";\nexport default fs;\n',
            'src/x.ts:1:16: a machine cannot use "fs"\n\n'
            '    1 │ import fs from "fs";\n'
            "      │                ^",
            "machines run without Node, files and network",
        ),
        (
            'import fs from "node:fs";\nexport default fs;\n',
            'src/x.ts:1:16: a machine cannot use "node:fs"\n\n'
            '    1 │ import fs from "node:fs";\n'
            "      │                ^",
            "machines run without Node, files and network",
        ),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(
    lab: Lab, project: Path, source: str, message: str, hint: str | None
) -> None:
    file = write(project, "src/x.ts", source)

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(file)

    assert refused.value.message == message
    assert refused.value.hint == hint


async def test_of_a_long_line_the_part_around_the_fault_is_shown(lab: Lab, project: Path) -> None:
    file = write(project, "x.ts", f"export default [{'1, ' * 100}2 3{', 4' * 100}];\n")

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(file)

    _, _, shown, caret = refused.value.message.split("\n")
    assert shown.startswith("    1 │ … ")
    assert shown.endswith(" …")
    assert shown[caret.index("^")] == "3"
    assert len(shown) < 80


@pytest.mark.parametrize(
    ("specifier", "hint"),
    [
        ("npm:lodash", "install it and import it by its name: npm install lodash"),
        ("npm:@a/b@2/c", "install it and import it by its name: npm install @a/b@2"),
        (
            "https://esm.sh/lodash",
            "install a package that holds it with npm, and import that by its name",
        ),
    ],
)
async def test_an_import_that_only_another_tool_resolves_is_refused_where_it_stands(
    lab: Lab, project: Path, specifier: str, hint: str
) -> None:
    file = write(project, "x.js", f'\nimport a from "{specifier}";\nexport default a;\n')

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(file)

    assert refused.value.message.startswith(f'x.js:2:15: cannot bundle "{specifier}"\n')
    assert refused.value.hint == hint


async def test_a_part_that_an_installed_package_does_not_export(lab: Lab, project: Path) -> None:
    install(project, "pkg", index="exports.a = 1;")
    package = '{"name": "pkg", "exports": {".": "./index.js"}}'
    write(project, "node_modules/pkg/package.json", package)
    file = write(project, "x.js", 'import a from "pkg/private";\nexport default a;\n')

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(file)

    assert refused.value.message.startswith('x.js:1:15: cannot find "pkg/private"\n')
    assert refused.value.hint == 'pkg is installed, but exports no "pkg/private"'


@pytest.mark.parametrize("name", ["x.js", "x.ts"])
async def test_a_file_that_is_no_text(lab: Lab, project: Path, name: str) -> None:
    (project / name).write_bytes(b'export const a = "\xe9";\n')

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(Path(name))

    assert refused.value.message == f"{name} is not UTF-8 text"


async def test_two_majors_of_xstate_in_one_bundle_are_refused(lab: Lab, project: Path) -> None:
    install(project, "xstate", "5.20.0")
    install(project, "old", index='import { assign } from "xstate"; export const old = assign;')
    install(project / "node_modules/old", "xstate", "4.38.3")
    source = f'import {{ old }} from "old";\n{TOGGLER}\nexport const kept = old;'

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(write(project, "toggler.ts", source))

    assert refused.value.message == (
        "two majors of xstate in one bundle: 4 in node_modules/old/index.js, 5 in toggler.ts"
    )


async def test_another_major_of_xstate_is_refused(lab: Lab, project: Path) -> None:
    install(project, "xstate", "6.0.0")

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(write(project, "toggler.ts", TOGGLER))

    assert refused.value.message == (
        "toggler.ts imports xstate 6.0.0, but smply runs xstate 4 and 5"
    )
    assert refused.value.hint == "npm install xstate@5"


@pytest.mark.parametrize(
    ("name", "message"), [("gone.ts", "gone.ts does not exist"), ("src", "src is a directory")]
)
async def test_a_file_that_is_none(lab: Lab, project: Path, name: str, message: str) -> None:
    (project / "src").mkdir()

    with pytest.raises(BuildError) as refused:
        await lab.runtime.build(Path(name))

    assert refused.value.message == message
