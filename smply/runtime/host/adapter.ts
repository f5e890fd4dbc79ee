/** What the two majors of XState have in common once an adapter has driven them. */

import type { Effect } from "./effects.ts";
import { describe } from "./errors.ts";
import { DEPTH_MAX, isDeeper, isOverflow, toJson } from "./json.ts";
import { type Delivery, Failure, type JsonObject, type Texts } from "./protocol.ts";

/** A machine after a start or a step: live objects, not yet JSON. */
export interface Outcome {
  value: unknown;
  context: unknown;
  /** All else that the next step needs, as JSON text. */
  rest: string;
  tags: string[];
  done: boolean;
  deliveries: Delivery[];
  effects: Effect[];
}

/** Drives one machine. Both methods are pure, throw what machine code throws, and share nothing. */
export interface Adapter {
  /** The initial state; the keys of `given` replace those of the machine's own context (S29). */
  start(given: JsonObject): Outcome;
  /** The state after `event`; that of a finished machine stays as it is. */
  step(from: Texts, event: JsonObject): Outcome;
}

const DELAY_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/** A delivery to the instance itself that was sent without a delay. */
export function deliverAtOnce(event: unknown): Delivery {
  requireType(event);
  return ["set", null, null, eventText(event)];
}

/**
 * A timer of the instance. Like `setTimeout`, no number and a negative one mean no time; what is
 * too long to mean anything is refused.
 */
export function deliver(key: unknown, delay: number, event: unknown): Delivery {
  requireType(event);
  const ms = delay > 0 ? Math.trunc(delay) : 0;
  if (ms > DELAY_MS_MAX) {
    const { type } = event;
    throw new Failure("machine-error", `the delay of "${type}" is ${delay} ms, over 100 years`);
  }
  return ["set", key === undefined || key === null ? null : String(key), ms, eventText(event)];
}

/** Fails the step that makes an event nobody could handle, and not whoever comes to handle it. */
export function requireType(event: unknown): asserts event is { type: string } {
  const { type } = (event ?? {}) as { type?: unknown };
  if (typeof type !== "string") throw noType(event === undefined ? "undefined" : describe(event));
}

export function noType(event: string): Failure {
  return new Failure("machine-error", `an event that it sends itself has no type: ${event}`);
}

function eventText(event: { type: string }): string {
  const text = written(`event "${event.type}"`, event);
  // A `toJSON` may make something else of an event.
  if (!text?.startsWith('{"type":"') && !hasType(text)) throw noType(text ?? "undefined");
  return text;
}

function hasType(text: string | undefined): text is string {
  return text !== undefined && typeof JSON.parse(text)?.type === "string";
}

/** The JSON text of what machine code made; fails if it has none, or one that nests too deeply. */
export function written(what: string, value: unknown): string | undefined {
  let text: string | undefined;
  try {
    text = toJson(value);
  } catch (error) {
    if (isOverflow(error)) throw tooDeep(what);
    const reason = firstLine(error);
    throw new Failure("machine-error", `the ${what} cannot be written as JSON: ${reason}`);
  }
  if (text !== undefined && isDeeper(text)) throw tooDeep(what);
  return text;
}

function tooDeep(what: string): Failure {
  return new Failure("machine-error", `the ${what} is nested deeper than ${DEPTH_MAX} levels`);
}

export function firstLine(error: unknown): string {
  return describe(error).split("\n", 1)[0]!;
}

/**
 * A copy of plain objects and arrays, so that an assign which changes what it is given in place
 * cannot reach the machine's own defaults; anything else is taken as it is.
 */
export function copyPlain<T>(value: T, seen = new Map<unknown, unknown>()): T {
  if (typeof value !== "object" || value === null) return value;
  if (seen.has(value)) return seen.get(value) as T;
  if (Array.isArray(value)) return copyItems(value, seen) as T;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: JsonObject = {};
  seen.set(value, copy);
  for (const [key, item] of Object.entries(value)) setOwn(copy, key, copyPlain(item, seen));
  return copy as T;
}

function copyItems(items: unknown[], seen: Map<unknown, unknown>): unknown[] {
  const copy: unknown[] = [];
  seen.set(items, copy);
  for (const item of items) copy.push(copyPlain(item, seen));
  return copy;
}

/** Sets a key of its own, be it `__proto__`. */
function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") target[key] = value;
  else {Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });}
}
