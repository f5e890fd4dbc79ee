/** The words that pass between Python and this host: arrays of JSON, the name first. */

import { plainText } from "./json.ts";

declare const __HOST__: string;
declare const __COPIES__: string[];

/** Raised whenever a message changes its shape. */
export const PROTOCOL = 1;

const MESSAGE_LENGTH_MAX = 10_000;

/** The hash of the sources this file was built from; `dist/manifest.json` holds the same. */
export const HOST = __HOST__;

/** Every specifier of our own copies of XState, such as `npm:xstate@4.38.3/lib/utils`. */
export const COPIES: ReadonlySet<string> = new Set(__COPIES__);

export type JsonObject = { [key: string]: unknown };

/** Value, context and rest of a state, as JSON texts. */
export interface Texts {
  value: string;
  context: string;
  rest: string;
}

/** What a step owes later: `set` has key, delay in ms and the event's JSON text. */
/** An event to be set has a delay in ms; null comes at once, and so before a timer of no time. */
export type Delivery =
  | ["set", string | null, number | null, string]
  | ["cancel", string]
  | ["clear"];

export type StepEvent = [
  ts: number,
  event: JsonObject,
  auth: JsonObject | null,
  cause: string,
];

/** Value, context and rest of a state, as parsed from the line. */
export type Snapshot = [value: unknown, context: unknown, rest: unknown];

export type Message =
  | ["load", call: number, code: string, label: string, adapter: 4 | 5]
  | ["check", call: number, code: string, label: string]
  | ["start", call: number, name: string, ts: number, context: JsonObject, auth: JsonObject | null]
  | [
    "step",
    call: number,
    instance: number,
    name: string,
    base: number,
    snapshot: Snapshot | null,
    events: StepEvent[],
  ]
  | [
    "read",
    call: number,
    instance: number,
    name: string,
    base: number,
    snapshot: Snapshot | null,
    auth: JsonObject,
  ]
  | ["commit", instance: number, seq: number, becomes: number | null]
  | ["drop", instance: number, seq: number]
  | ["finish", call: number, ms: number];

export type MessageOf<Name extends Message[0]> = Extract<Message, [Name, ...unknown[]]>;

export type FailureKind =
  | "machine-error"
  | "not-implemented"
  | "context-too-large"
  | "invalid-state"
  | "no-default-export"
  | "not-a-machine"
  | "too-deep"
  | "missing-export"
  | "bad-import"
  | "unsupported-xstate"
  | "load-failed"
  | "syntax";

/** What ends a call without a result; the message is one sentence, the stack the user's part. */
export class Failure extends Error {
  readonly #ours = true;

  constructor(readonly kind: FailureKind, message: string, readonly userStack = "") {
    super(message);
  }

  /** `instanceof` would ask a proxy that machine code threw, and that may throw in turn. */
  static is(error: unknown): error is Failure {
    return typeof error === "object" && error !== null && #ours in error;
  }
}

export type Refusal = [
  reason: "false" | "threw" | "promise" | "not-true",
  detail: string,
  stack: string,
];

/** A step as it goes over the wire, its JSON parts already texts. */
export interface Stepped {
  instance: number;
  seq: number;
  ts: number;
  texts: Texts;
  answer: string;
  tags: string;
  done: boolean;
  patch: string | null;
  deliveries: Delivery[];
  effects: boolean;
}

export function steppedText(call: number | null, step: Stepped): string {
  const { value, context, rest } = step.texts;
  const deliveries = step.deliveries.length ? `[${step.deliveries.map(deliveryText)}]` : "[]";
  return `["stepped",${call},${step.instance},${step.seq},${step.ts},${value},${context},${rest},` +
    `${step.answer},${step.tags},${step.done},${step.patch},${deliveries},${step.effects}]`;
}

function deliveryText(delivery: Delivery): string {
  if (delivery[0] !== "set") return plainText(delivery);
  const [name, key, delay, event] = delivery;
  return `["${name}",${plainText(key)},${delay},${event}]`;
}

export function refusedText(call: number | null, [reason, detail, stack]: Refusal): string {
  return plainText(["refused", call, reason, detail, stack]);
}

export function failedText(call: number | null, seq: number | null, failure: Failure): string {
  const { kind, message, userStack } = failure;
  return plainText(["failed", call, seq, kind, shortened(message), userStack]);
}

/** A name or a type may stand in a message, as long as machine code made it. */
function shortened(message: string): string {
  return message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message;
}
