/** From a bundle's text to a loaded version: import, kind, and the copy of XState it runs on. */

import type { Adapter } from "./adapter.ts";
import { describe, isError, setLabel, userStack } from "./errors.ts";
import { allowBundle } from "./imports.ts";
import { isOverflow } from "./json.ts";
import { COPIES, Failure, type JsonObject } from "./protocol.ts";
import { runAs } from "./scope.ts";
import type { Authorizer, Version } from "./stepper.ts";
import type { Machine4, Machine5, Node4, Node5 } from "./shapes.ts";
import { adapt4, type ServiceScope } from "./xstate4.ts";
import { adapt5 } from "./xstate5.ts";

export type Major = 4 | 5;
export type Exports = JsonObject;

/** Our copies: "npm:xstate@" and the exact version, by major. */
const OURS = new Map(
  [...COPIES].filter((name) => !name.includes("/")).map((name) => {
    const version = name.slice("npm:xstate@".length);
    return [Number.parseInt(version), { name, version }] as const;
  }),
);

export function ourCopy(major: number): { name: string; version: string } {
  return OURS.get(major)!;
}

/** Imports a bundle from memory; throws a failure of kind `syntax` or `load-failed`. */
export async function importBundle(code: string, label: string): Promise<Exports> {
  setLabel(label);
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    const where = { instance: null, name: null, phase: "load", pure: false } as const;
    allowBundle(url);
    return await runAs({ ...where }, () => import(url));
  } catch (error) {
    throw loadFailure(error);
  } finally {
    allowBundle("");
    URL.revokeObjectURL(url);
  }
}

const STATE_LEVELS_MAX = 100;
/** XState's constructors call each other for each level of states, until the stack is full. */
const MAKES_STATES = / at (?:new )?\w*StateNode/;

function statesTooDeep(): Failure {
  const message = `the machine nests its states deeper than ${STATE_LEVELS_MAX} levels`;
  return new Failure("too-deep", message);
}

/** Fails a machine whose states nest so deeply that what walks them would be at its end. */
export function requireShallow(machine: unknown, major: Major): void {
  let level: (Node4 | Node5)[] = [major === 4 ? machine as Machine4 : (machine as Machine5).root];
  for (let depth = 0; level.length; depth++) {
    if (depth > STATE_LEVELS_MAX) throw statesTooDeep();
    level = level.flatMap((node) => Object.values(node.states));
  }
}

/** Deno reports a syntax error as a TypeError whose message holds the place and the line. */
function loadFailure(error: unknown): Failure {
  if (isOverflow(error) && MAKES_STATES.test(userStack(error))) return statesTooDeep();
  const syntax = isError(error) ? /SyntaxError: (.*)/s.exec(describe(error)) : null;
  if (syntax) {
    const isImport = syntax[1]!.includes("does not provide an export");
    return new Failure(isImport ? "bad-import" : "syntax", syntax[1]!);
  }
  return new Failure(
    "load-failed",
    `loading the machine threw: ${describe(error)}`,
    userStack(error),
  );
}

/** The major of the XState that made this, by what it can do, as copies share no classes. */
export function majorOf(machine: unknown): Major | null {
  if (typeof machine !== "object" || machine === null || !("__xstatenode" in machine)) return null;
  const { withContext, getInitialSnapshot } = machine as JsonObject;
  if (typeof withContext === "function") return 4;
  return typeof getInitialSnapshot === "function" ? 5 : null;
}

/** Whether a machine was made by the copy of XState that we ship. */
export async function isOurs(machine: object, major: Major): Promise<boolean> {
  const copy = await import(ourCopy(major).name);
  return machine instanceof (major === 4 ? copy.StateNode : copy.StateMachine);
}

export async function loadVersion(code: string, label: string, major: Major): Promise<Version> {
  const exports = await importBundle(code, label);
  return {
    adapter: await adapt(exports.default as object, major),
    allowRead: exports.allowRead as Authorizer,
    allowWrite: exports.allowWrite as Authorizer,
  };
}

async function adapt(machine: object, major: Major): Promise<Adapter> {
  if (major === 5) return adapt5(machine as Machine5);
  const services: ServiceScope | null = await isOurs(machine, 4)
    ? await import(`${ourCopy(4).name}/lib/serviceScope`)
    : null;
  return adapt4(machine as Machine4, services);
}
