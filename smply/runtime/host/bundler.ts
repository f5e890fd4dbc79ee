/**
 * Runs esbuild, with the arguments of its command line, where it may read the project alone.
 *
 * esbuild looks into every directory above a file. Deno refuses those outside the project with an
 * error that has no code, at which esbuild dies: here they look as they do to a user who may not
 * read them. That they are directories and no links it must know, or it follows no link at all.
 */

import fs from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

type Callback = (error: unknown, ...results: unknown[]) => void;
type Call = (...args: unknown[]) => void;

const calls = fs as unknown as Record<string, Call>;
const project = process.cwd();

for (const name of ["lstat", "open", "readdir", "readlink", "stat"]) {
  const real = calls[name]!;
  calls[name] = (...args) => {
    const callback = args.pop() as Callback;
    const answer: Callback = (error, ...results) => {
      if (!(error instanceof Deno.errors.NotCapable)) return callback(error, ...results);
      if (name === "lstat" && isAbove(args[0])) return real(project, callback);
      callback(Object.assign(new Error(error.message), { code: "EACCES" }));
    };
    try {
      real(...args, answer);
    } catch (error) {
      answer(error);
    }
  };
}

function isAbove(path: unknown): boolean {
  return path === "/" || project.startsWith(`${path}/`);
}

createRequire(import.meta.url)("./dist/esbuild-wasm/bin/esbuild");
