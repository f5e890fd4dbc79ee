/**
 * What machine code may import: our copies of XState, and the bundle that the host imports itself.
 *
 * The import map alone would not do: it takes exact names, and Deno 2.9.8 links a static import of
 * many an `ext:` module, and of three `node:` ones that it lists nowhere, for any module that asks.
 */

import { DIST } from "./errors.ts";
import { COPIES } from "./protocol.ts";

type Next = (specifier: string, context: object) => object;

interface NodeModule {
  registerHooks(hooks: {
    resolve(specifier: string, context: { parentURL?: string }, next: Next): object;
  }): void;
}

interface Process {
  getBuiltinModule(name: "node:module"): NodeModule;
}

// Captured: machine code may put others in their place.
const startsWith = Function.prototype.call.bind(String.prototype.startsWith) as (
  text: string,
  start: string,
) => boolean;
const copies: Record<string, true> = Object.create(null);
for (const name of COPIES) copies[name] = true;

let bundle = "";

/** Lets one URL be imported, which only the host knows, until the next takes its place. */
export function allowBundle(url: string): void {
  bundle = url;
}

/** Must run before any machine code is imported, and while `process` is there. */
export function guardImports(): void {
  const { process } = globalThis as unknown as { process: Process };
  process.getBuiltinModule("node:module").registerHooks({
    resolve(specifier, context, next) {
      if (isAllowed(specifier, context.parentURL)) return next(specifier, context);
      // What throws here is loaded all the same, if it is a module of Deno's own.
      return { url: `machines-cannot-import:${specifier}`, shortCircuit: true };
    },
  });
  // Deno pushes the hook to an array for each import: nobody may be listening there. And what one
  // instance adds to every object there is, all others would find.
  Object.preventExtensions(Array.prototype);
  Object.preventExtensions(Object.prototype);
}

function isAllowed(specifier: string, parent: string | undefined): boolean {
  if (specifier === bundle || copies[specifier]) return true;
  // Our copies import parts of each other.
  return startsWith(specifier, "./") && startsWith(`${parent}`, DIST);
}
