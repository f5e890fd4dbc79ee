/** Which instance and which part of its code is running, also across `await`. */

import { Failure } from "./protocol.ts";

export type Phase =
  | "load"
  | "guard"
  | "authorizer"
  | "action"
  | "rejection"
  | "timer"
  | "transition";

export interface Where {
  instance: number | null;
  name: string | null;
  phase: Phase;
  /** Inside a step, which must not have effects. */
  pure: boolean;
  /** The custom action that began this, as "instance: action notify". */
  action?: string;
}

interface AsyncLocalStorage<T> {
  run<R>(store: T, fn: () => R): R;
  getStore(): T | undefined;
}

interface BuiltinModules {
  getBuiltinModule(name: string): { AsyncLocalStorage: new () => AsyncLocalStorage<Where> };
}

// The import map sends every `node:` specifier to a stub, for us as for user code.
const { process } = globalThis as unknown as { process: BuiltinModules };
const storage = new (process.getBuiltinModule("node:async_hooks").AsyncLocalStorage)();

export function runAs<R>(where: Where, fn: () => R): R {
  return storage.run(where, fn);
}

export function whereNow(): Where | undefined {
  return storage.getStore();
}

/** Remarks made while one step runs; `refused` is the first thing it asked for in vain. */
interface StepNotes {
  refused: string | null;
}

let notes: StepNotes | null = null;

/**
 * Runs the synchronous part of a step. What it asked for and cannot have fails it afterwards, even
 * if its code caught the error that `refuse` threw.
 */
export function runStep<R>(where: Where, fn: () => R): R {
  const mine: StepNotes = { refused: null };
  notes = mine;
  try {
    const result = storage.run(where, fn);
    if (mine.refused === null) return result;
  } catch (error) {
    if (mine.refused === null) throw error;
  } finally {
    notes = null;
  }
  throw new Failure("not-implemented", mine.refused);
}

/** Fails the running step as not implemented, and throws in any case. */
export function refuse(message: string): never {
  if (notes) notes.refused ??= message;
  throw new Error(message);
}

export function inStep(): boolean {
  return notes !== null;
}
