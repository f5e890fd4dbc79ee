/** Whether a bundle can be a version, and what is to be known of it. */

import { parse } from "es-module-lexer/js";
import { definitionOf, type Summary } from "./definition.ts";
import {
  type Exports,
  importBundle,
  isOurs,
  type Major,
  majorOf,
  ourCopy,
  requireShallow,
} from "./machine.ts";
import { COPIES, Failure, type JsonObject } from "./protocol.ts";

export interface CheckInfo extends Summary {
  code: string | null;
  xstate: string;
  adapter: Major;
  exports: string[];
}

const XSTATE = /^npm:\/?xstate(?:@([^/]*))?(?:\/(.*))?$/;

export async function checkBundle(code: string, label: string): Promise<CheckInfo> {
  const rewritten = rewriteImports(code);
  const exports = await importBundle(rewritten, label);
  const machine = exports.default;
  const adapter = requireMachine(exports);
  requireShallow(machine, adapter);
  requireAuthorizers(exports);
  const ours = await isOurs(machine as object, adapter);
  return {
    code: rewritten === code ? null : rewritten,
    xstate: ours ? ourCopy(adapter).version : "bundled",
    adapter,
    exports: Object.keys(exports),
    ...definitionOf(machine, adapter),
  };
}

/** Sends each import of `npm:xstate…` to the exact copy that we ship; refuses others (C16). */
function rewriteImports(code: string): string {
  const majors = new Set<string>();
  let result = "";
  let end = 0;
  for (const found of parseImports(code)) {
    if (found.type === "import-meta") continue;
    if (found.type === "dynamic") {
      throw badImport(found.specifier, "a machine cannot import at run time");
    }
    const specifier = exactSpecifier(found.specifier);
    majors.add(specifier.slice("npm:xstate@".length)[0]!);
    result += code.slice(end, found.start) + specifier;
    end = found.end;
  }
  if (majors.size > 1) {
    throw new Failure(
      "bad-import",
      "the bundle imports xstate 4 and 5: a machine is made by one of them",
    );
  }
  return result + code.slice(end);
}

function parseImports(code: string): ReturnType<typeof parse>[0] {
  try {
    return parse(code)[0];
  } catch {
    // Only the engine says what is wrong in words, and it does so at the import.
    return [];
  }
}

function exactSpecifier(specifier: string): string {
  if (specifier === "xstate" || specifier.startsWith("xstate/")) {
    throw badImport(specifier, 'write "npm:xstate", or bundle xstate with the machine');
  }
  const found = XSTATE.exec(specifier);
  if (!found) throw badImport(specifier, "a bundle can import nothing but npm:xstate");
  const [, range = "4", path = ""] = found;
  const major = /^[\^~=v]*([45])(?:$|[.x-])/.exec(range)?.[1];
  if (!major) throw badImport(specifier, "only xstate 4 and 5 are supported");
  const subpath = path.replace(/\.js$/, "").replace(/^es\//, "lib/").replace(/^lib\/index$/, "");
  const exact = ourCopy(Number(major)).name + (subpath && `/${subpath}`);
  if (!COPIES.has(exact)) throw badImport(specifier, `xstate ${major} has no such file`);
  return exact;
}

function badImport(specifier: string | undefined, reason: string): Failure {
  return new Failure(
    "bad-import",
    `cannot import ${specifier ? `"${specifier}"` : "this"}: ${reason}`,
  );
}

function requireMachine(exports: Exports): Major {
  if (!("default" in exports)) {
    throw new Failure(
      "no-default-export",
      "the bundle has no default export: export the machine as default",
    );
  }
  const machine = exports.default;
  const major = majorOf(machine);
  if (major) return major;
  if (looksLikeXState(machine)) {
    throw new Failure(
      "unsupported-xstate",
      "the machine was made by an xstate that is neither 4 nor 5",
    );
  }
  throw new Failure("not-a-machine", "the default export is not an XState machine");
}

/** XState 6 marks its machines in no way, but they hold a config and can step. */
function looksLikeXState(machine: unknown): boolean {
  if (typeof machine !== "object" || machine === null) return false;
  const { config, transition, __xstatenode } = machine as JsonObject;
  return __xstatenode === true || (typeof config === "object" && typeof transition === "function");
}

function requireAuthorizers(exports: Exports): void {
  for (const name of ["allowRead", "allowWrite"]) {
    if (typeof exports[name] === "function") continue;
    const what = name in exports ? "is not a function" : "is missing";
    const message = `a machine must export the functions allowRead and allowWrite: ${name} ${what}`;
    throw new Failure("missing-export", message);
  }
}
