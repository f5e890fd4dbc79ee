/** One machine's steps: authorizer, transition, and the texts they end in. */

import { type Adapter, copyPlain, type Outcome, written } from "./adapter.ts";
import type { Effect } from "./effects.ts";
import { isThenable } from "./effects.ts";
import { describe, forgetGuardError, isError, takeGuardError, userStack } from "./errors.ts";
import { DEPTH_MAX, isDeeper, plainText, toJson } from "./json.ts";
import { isLarger, patchBetween } from "./merge.ts";
import {
  type Delivery,
  Failure,
  type JsonObject,
  type Refusal,
  type StepEvent,
  type Stepped,
  type Texts,
} from "./protocol.ts";
import { runStep, type Where } from "./scope.ts";

/** As `smply/contract.py` has them: what Python does not take must not be said. */
const CONTEXT_BYTES_MAX = 400_000;
const EVENT_BYTES_MAX = 400_000;
const VALUE_BYTES_MAX = 400_000;
const REST_BYTES_MAX = 1_000_000;
const ANSWER_BYTES_MAX = 2_000_000;
const DELIVERIES_MAX = 1_000;
const DELIVERIES_BYTES_MAX = 2_000_000;

export type Authorizer = (asked: JsonObject) => unknown;

/** A loaded version: its machine, driven by an adapter, and its authorizers. */
export interface Version {
  adapter: Adapter;
  allowRead: Authorizer;
  allowWrite: Authorizer;
}

export interface StepResult {
  step: Stepped;
  effects: Effect[];
}

/** A refusal is data and a failure is thrown, as only the latter ends a run of code. */
export type Answer = StepResult | { refused: Refusal };

export function startInstance(
  version: Version,
  instance: number,
  name: string,
  ts: number,
  given: JsonObject,
  auth: JsonObject | null,
): Answer {
  const where: Where = { instance: null, name, phase: "transition", pure: true };
  const refused = auth && ask(where, version.allowWrite, {
    machineInstanceName: name,
    type: "initialization",
    context: copyPlain(given),
    authContext: auth,
  });
  if (refused) return { refused };
  const outcome = transition(where, () => version.adapter.start(given));
  return finishStep(outcome, instance, 1, ts, null);
}

export function stepInstance(
  version: Version,
  instance: number,
  name: string,
  seq: number,
  from: Texts,
  [ts, event, auth]: StepEvent,
): Answer {
  const where: Where = { instance, name, phase: "transition", pure: true };
  const refused = auth && ask(where, version.allowWrite, {
    machineInstanceName: name,
    type: "event",
    event: copyPlain(event),
    state: JSON.parse(from.value),
    context: JSON.parse(from.context),
    authContext: auth,
  });
  if (refused) return { refused };
  const outcome = transition(where, () => version.adapter.step(from, event));
  return finishStep(outcome, instance, seq, ts, from.context);
}

export function readInstance(
  version: Version,
  instance: number,
  name: string,
  from: Texts,
  auth: JsonObject,
): Refusal | null {
  const where: Where = { instance, name, phase: "authorizer", pure: true };
  return ask(where, version.allowRead, {
    machineInstanceName: name,
    state: JSON.parse(from.value),
    context: JSON.parse(from.context),
    authContext: auth,
  });
}

/** Only `true` permits (S99); null means that. */
function ask(where: Where, authorizer: Authorizer, asked: JsonObject): Refusal | null {
  where.phase = "authorizer";
  try {
    return runStep(where, () => refusalFor(authorizer(asked)));
  } catch (error) {
    if (Failure.is(error)) throw error;
    return ["threw", describe(error), userStack(error)];
  }
}

/** Throws what the answer throws when it is looked at. */
function refusalFor(answer: unknown): Refusal | null {
  if (answer === true) return null;
  if (answer === false) return ["false", "", ""];
  if (!isThenable(answer)) return ["not-true", describeValue(answer), ""];
  silence(answer);
  return ["promise", "", ""];
}

const { then } = Promise.prototype;

/** A promise's rejection is not news: the refusal is. What only looks like one is left alone. */
function silence(answer: PromiseLike<unknown>): void {
  try {
    then.call(answer as Promise<unknown>, undefined, () => {});
  } catch {
    // It is no promise, and nobody else hears of its rejection.
  }
}

function describeValue(value: unknown): string {
  return value === undefined
    ? "undefined"
    : describe(typeof value === "string" ? JSON.stringify(value) : value);
}

function transition(where: Where, step: () => Outcome): Outcome {
  where.phase = "transition";
  forgetGuardError();
  try {
    return runStep(where, step);
  } catch (error) {
    throw Failure.is(error) ? error : machineError(error);
  }
}

const GUARD_FAILED = /^Unable to evaluate guard (?:'(.*?)' )?in transition [^\n]*\n(.*)/s;
const GUARD_MISSING = /^(?:Error: )?Guard '.*' is not implemented/;

function machineError(error: unknown): Failure {
  const guard = takeGuardError(error);
  if (guard) return guardFailure(guard.name, describe(guard.error), userStack(guard.error));
  const found = isError(error) ? GUARD_FAILED.exec(error.message) : null;
  if (found) return guardFailure(found[1] ?? "(inline)", found[2]!, "");
  return new Failure("machine-error", `machine code threw: ${describe(error)}`, userStack(error));
}

function guardFailure(name: string, reason: string, stack: string): Failure {
  const message = GUARD_MISSING.test(reason)
    ? `guard ${name} is not implemented by the machine`
    : `guard ${name} threw: ${reason}`;
  return new Failure("machine-error", message, stack);
}

function finishStep(
  outcome: Outcome,
  instance: number,
  seq: number,
  ts: number,
  before: string | null,
): StepResult {
  requireFew(outcome.deliveries);
  const texts = textsOf(outcome);
  const tags = `[${outcome.tags.map((tag) => toJson(tag) ?? "null").join(",")}]`;
  requireSmall("the tags of its state have", tags, VALUE_BYTES_MAX);
  const step: Stepped = {
    instance,
    seq,
    ts,
    texts,
    answer: answerText(ts, texts.value, outcome, tags),
    tags,
    done: outcome.done,
    patch: before === null ? null : patchBetween(before, texts.context, seq),
    deliveries: outcome.deliveries,
    effects: outcome.effects.length > 0,
  };
  return { step, effects: outcome.effects };
}

function requireSmall(what: string, text: string, bytes: number): void {
  if (isLarger(text, bytes)) {
    throw new Failure("machine-error", `${what} more than ${bytes.toLocaleString("en")} bytes`);
  }
}

function requireFew(deliveries: Delivery[]): void {
  const { length } = deliveries;
  if (length > DELIVERIES_MAX) {
    const message = `it sends itself or cancels ${length.toLocaleString("en")} events in one step:` +
      ` the limit is ${DELIVERIES_MAX.toLocaleString("en")}`;
    throw new Failure("machine-error", message);
  }
  let all = "";
  for (const [name, key, , event] of deliveries) {
    if (name === "set") requireSmall("an event that it sends itself has", event, EVENT_BYTES_MAX);
    all += `${key ?? ""}${event ?? ""}`;
  }
  requireSmall("the events that it sends itself in one step have", all, DELIVERIES_BYTES_MAX);
}

/** An event or an output as deep as a context may be, and what it lies in. */
const REST_DEPTH_MAX = DEPTH_MAX + 4;

function textsOf(outcome: Outcome): Texts {
  const { value, context, rest } = outcome;
  if (isDeeper(rest, REST_DEPTH_MAX)) {
    const message =
      `what it keeps of its event or output is nested deeper than ${DEPTH_MAX} levels`;
    throw new Failure("machine-error", message);
  }
  requireSmall("what it keeps of its event or output has", rest, REST_BYTES_MAX);
  const text = toJson(value)!;
  requireSmall("the value of its state has", text, VALUE_BYTES_MAX);
  return { value: text, context: contextText(context), rest };
}

function contextText(context: unknown): string {
  const text = written("context", context);
  if (!text?.startsWith("{")) throw new Failure("machine-error", "the context is no JSON object");
  if (isLarger(text, CONTEXT_BYTES_MAX)) {
    throw new Failure("context-too-large", "the context would be larger than 400,000 bytes");
  }
  return text;
}

/** What outsiders see of a state, as finished JSON. */
function answerText(ts: number, value: string, outcome: Outcome, tags: string): string {
  const states = plainText(toStrings(outcome.value));
  const visible = publicText(outcome.context);
  const text = `{"ts":${ts},"state":${value},${visible}"tags":${tags},"done":${outcome.done},` +
    `"states":${states}}`;
  requireSmall("the public part of its state has", text, ANSWER_BYTES_MAX);
  return text;
}

function publicText(context: unknown): string {
  const text = toJson((context as { public?: unknown } | null)?.public);
  return text?.startsWith("{") ? `"publicContext":${text},` : "";
}

/** First the names at a level, then those below each in turn, joined by dots (S33). */
function toStrings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  const entries = Object.entries(value as JsonObject);
  const below = entries.flatMap(([key, inner]) => toStrings(inner).map((s) => `${key}.${s}`));
  return [...entries.map(([key]) => key), ...below];
}
