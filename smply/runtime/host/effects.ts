/** Effects of committed steps: run one by one, and known by name until they are over. */

import { runAs, type Where, whereNow } from "./scope.ts";

/** What a step leaves to do once it is stored; `name` is that of the action, if it is known yet. */
export interface Effect {
  name: string;
  run(): unknown;
}

const NAMES_MAX = 1_000;

export type OnError = (where: Where, error: unknown) => void;

/** What actions have begun and not ended: a token for each, with the label it is known by. */
const begun = new Map<symbol, string>();
const waiting = new Set<() => void>();

/** Runs each effect in its own try: a custom action cannot take back the step it belongs to. */
export function runEffects(
  instance: number,
  name: string,
  effects: readonly Effect[],
  onError: OnError,
): void {
  for (const effect of effects) {
    const where: Where = { instance, name, phase: "action", pure: false };
    where.action = labelOf(where, effect.name);
    runAs(where, () => runEffect(effect, where, onError));
  }
}

/** Names that a function without one takes from its place, or that XState gives it. */
const PLACES = new Set(["actions", "entry", "exit", "exec", "(action)", "(anonymous)"]);

/** XState 4 takes the whole source of a function for its name if it has none. */
function labelOf(where: Where, action: string): string {
  const isName = /^[^(){}=>\n]{1,200}$/.test(action) && !PLACES.has(action);
  return `${where.name}: ${isName ? `action ${action}` : "an action"}`;
}

/** Names the action that runs now, for where its name comes to light no sooner. */
export function nameAction(action: string): void {
  const where = whereNow();
  if (where?.action !== undefined) where.action = labelOf(where, action);
}

function runEffect(effect: Effect, where: Where, onError: OnError): void {
  try {
    const result = effect.run();
    if (isThenable(result)) {
      const promise = Promise.resolve(result);
      promise.catch((error) => onError(where, error)).finally(begin(where.action!));
    }
  } catch (error) {
    onError(where, error);
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/** Follows a promise that an action made without returning it, such as a `fetch`. */
export function track<T>(where: Where | undefined, promise: Promise<T>): Promise<T> {
  if (where?.action === undefined) return promise;
  const end = begin(where.action);
  promise.then(end, end);
  return promise;
}

/** Follows a timer that an action set; the function given back says that it is over. */
export function trackTimer(where: Where | undefined): (() => void) | null {
  return where?.action === undefined ? null : begin(where.action);
}

function begin(label: string): () => void {
  const token = Symbol();
  begun.set(token, label);
  return () => {
    begun.delete(token);
    if (!begun.size) endOfTurn(() => begun.size || wake());
  };
}

function wake(): void {
  for (const resolve of waiting) resolve();
  waiting.clear();
}

// A promise that is over may be followed by another one, begun in the same turn.
const { setTimeout, clearTimeout } = globalThis;
const endOfTurn = (fn: () => void) => setTimeout(fn, 0);

/** Resolves when nothing that actions began is open, or after `ms`; then with the open ones. */
export async function finish(ms: number): Promise<string[]> {
  await new Promise<void>((resolve) => endOfTurn(resolve));
  if (begun.size) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      waiting.add(() => (clearTimeout(timer), resolve()));
    });
  }
  return [...new Set(begun.values())].slice(0, NAMES_MAX);
}
