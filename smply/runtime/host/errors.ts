/** What machine code throws, in words and with its own part of the stack. */

import { whereNow } from "./scope.ts";
import type { AnyFunction } from "./shapes.ts";

const HOST_FILE = import.meta.url;
export const DIST = HOST_FILE.slice(0, HOST_FILE.lastIndexOf("/") + 1);
const BLOB = /blob:null\/[0-9a-f-]{36}/g;
// deno-lint-ignore no-control-regex
const ANSI = /\x1b\[[0-9;]*m/g;
const OUR_FRAMES = new RegExp(`\\n +at [^\\n]*(?:${RegExp.escape(HOST_FILE)}|\\bext:)[^\\n]*`, "g");
const STACK_LINES_MAX = 12;
const MESSAGE_LENGTH_MAX = 4000;

let label = "machine.js";

/** Sets what stacks show in place of the blob that machine code was imported from. */
export function setLabel(text: string): void {
  label = text;
}

/** Whether something thrown is an error; a proxy may throw when it is asked. */
export function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error;
  } catch {
    return false;
  }
}

/** "TypeError: x is not a function", for anything that can be thrown. */
export function describe(error: unknown): string {
  try {
    if (error instanceof Error) return clean(`${error.name}: ${error.message}`);
    if (typeof error === "string") return clean(error);
    return clean(JSON.stringify(error) ?? String(error));
  } catch {
    return "something that cannot be shown";
  }
}

/** The stack below the message: frames of machine code, and of XState only above such frames. */
export function userStack(error: unknown): string {
  try {
    const stack = error instanceof Error ? String(error.stack ?? "") : "";
    const frames = stack.split("\n").filter((line) => /^\s+at /.test(line) && isForeign(line));
    const last = frames.findLastIndex((line) => line.includes("blob:null/"));
    const kept = last < 0 ? frames : frames.slice(0, last + 1);
    return clean(kept.slice(0, STACK_LINES_MAX).join("\n"));
  } catch {
    return "";
  }
}

function isForeign(line: string): boolean {
  return !line.includes(HOST_FILE) && !line.includes("ext:") && !line.includes("node:");
}

/** The text without colours, our frames, our directory and blob URLs, cut to a bearable length. */
export function clean(text: string, lengthMax = MESSAGE_LENGTH_MAX): string {
  // More than that can come to nothing, and all of it would take its time.
  const plain = text.slice(0, 4 * lengthMax).replace(ANSI, "").replace(OUR_FRAMES, "")
    .replace(BLOB, () => label).replaceAll(DIST, "");
  return plain.length > lengthMax ? `${plain.slice(0, lengthMax)}…` : plain;
}

/**
 * A guard that threw during the running step. XState reads the message of what it was `thrown` and
 * rethrows it without its type and stack; `error` is what the guard itself threw.
 */
interface GuardError {
  name: string;
  error: unknown;
  thrown: Error;
}

let guardError: GuardError | null = null;

export function forgetGuardError(): void {
  guardError = null;
}

/** The guard error behind `error`, if one of our wrapped guards threw it. */
export function takeGuardError(error: unknown): GuardError | null {
  const found = guardError;
  guardError = null;
  if (!found || !isError(error)) return null;
  const isIt = error === found.thrown ||
    String(error.message).startsWith("Unable to evaluate guard");
  return isIt ? found : null;
}

/** Makes a guard that remembers what it threw and marks its phase for logs. */
export function wrapGuard(name: string, guard: AnyFunction): AnyFunction {
  return function (this: unknown, ...args: unknown[]): unknown {
    const where = whereNow();
    const phase = where?.phase;
    if (where) where.phase = "guard";
    try {
      return guard.apply(this, args);
    } catch (error) {
      const thrown = isError(error) ? error : new Error(describe(error));
      guardError ??= { name, error, thrown };
      throw thrown;
    } finally {
      if (where) where.phase = phase!;
    }
  };
}
