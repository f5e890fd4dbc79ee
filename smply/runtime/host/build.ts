/**
 * Makes `dist/`: the bundled host, our copies of XState and esbuild's files for later builds.
 * Run by `hatch_build.py` in a directory with `node_modules`; arguments: output directory and
 * the hash of the sources.
 */

import { builtinModules } from "node:module";

const ESBUILD_FILES = [
  "bin/esbuild",
  "esbuild.wasm",
  "wasm_exec.js",
  "wasm_exec_node.js",
  "package.json",
  "LICENSE.md",
];

/** What `dist/manifest.json` says of our copies: import specifier to file below `dist/`. */
type Copies = Record<string, string>;

interface XStateCopy {
  root: string;
  version: string;
  /** Public subpath ("" is the package itself) to the file that esbuild starts from. */
  subpaths: Map<string, string>;
}

const [out, hash] = Deno.args as [string, string];

await build();

async function build(): Promise<void> {
  const four = await findCopy4();
  const five = await findCopy5();
  const copies: Copies = { ...await bundleCopy(four), ...await bundleCopy(five) };
  await bundleHost(copies);
  await copyFiles("node_modules/esbuild-wasm", "esbuild-wasm", ESBUILD_FILES);
  await copyLicenses(four, five);
  const manifest = {
    protocol: 1,
    host: hash,
    xstate: { 4: four.version, 5: five.version },
    copies,
    // The same Deno builds and runs: both are pinned to one version.
    builtins: builtinModules,
  };
  await Deno.writeTextFile(`${out}/manifest.json`, JSON.stringify(manifest, null, 2) + "\n");
}

/**
 * XState 4 declares no exports, so every file is public. The CommonJS files of `lib/` are taken
 * from their ES twins in `es/`, or each of them would be a second copy; what has no twin holds
 * only types, or needs packages that XState does not depend on.
 */
async function findCopy4(): Promise<XStateCopy> {
  const root = "node_modules/xstate4";
  const subpaths = new Map([["", `${root}/es/index.js`]]);
  for await (const entry of Deno.readDir(`${root}/es`)) {
    if (entry.isFile && entry.name.endsWith(".js")) {
      subpaths.set(`lib/${entry.name.slice(0, -".js".length)}`, `${root}/es/${entry.name}`);
    }
  }
  return { root, version: await versionOf(root), subpaths };
}

async function findCopy5(): Promise<XStateCopy> {
  const root = "node_modules/xstate5";
  const { exports } = JSON.parse(await Deno.readTextFile(`${root}/package.json`));
  const subpaths = new Map<string, string>();
  for (const [name, targets] of Object.entries<{ module?: string }>(exports)) {
    if (targets.module) subpaths.set(name.slice("./".length), `${root}/${targets.module}`);
  }
  return { root, version: await versionOf(root), subpaths };
}

async function versionOf(root: string): Promise<string> {
  return JSON.parse(await Deno.readTextFile(`${root}/package.json`)).version;
}

async function bundleCopy({ version, subpaths }: XStateCopy): Promise<Copies> {
  const directory = `xstate-${version}`;
  const copies: Copies = {};
  const entries: string[] = [];
  for (const [subpath, file] of [...subpaths].sort()) {
    const name = subpath.replace("/", "-") || "index";
    entries.push(`${name}=${file}`);
    copies[`npm:xstate@${version}${subpath && "/"}${subpath}`] = `${directory}/${name}.js`;
  }
  await esbuild([
    ...entries,
    "--splitting",
    "--chunk-names=shared-[hash]",
    `--outdir=${out}/${directory}`,
  ]);
  return copies;
}

async function bundleHost(copies: Copies): Promise<void> {
  await esbuild([
    "main.ts",
    `--define:__HOST__=${JSON.stringify(hash)}`,
    `--define:__COPIES__=${JSON.stringify(Object.keys(copies))}`,
    `--outfile=${out}/host.js`,
  ]);
}

/** Runs esbuild's WebAssembly build. Identifiers stay as they are, so that stacks can be read. */
async function esbuild(args: string[]): Promise<void> {
  const common = [
    "--bundle",
    "--format=esm",
    "--platform=browser",
    "--target=es2022",
    "--minify-syntax",
    '--define:process.env.NODE_ENV="production"',
    "--external:node:*",
    "--log-level=warning",
  ];
  const script = "node_modules/esbuild-wasm/bin/esbuild";
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--unstable-detect-cjs", script, ...common, ...args],
  });
  const { code } = await command.spawn().status;
  if (code !== 0) throw new Error(`esbuild ended with ${code}`);
}

/** What is bundled into `dist/` goes out with the words its authors ask for. */
async function copyLicenses(...copies: XStateCopy[]): Promise<void> {
  for (const { root, version } of copies) await copyFiles(root, `xstate-${version}`, ["LICENSE"]);
  await copyFiles("node_modules/es-module-lexer", "es-module-lexer", ["LICENSE"]);
}

async function copyFiles(from: string, to: string, files: string[]): Promise<void> {
  for (const file of files) {
    const target = `${out}/${to}/${file}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.copyFile(`${from}/${file}`, target);
  }
}
