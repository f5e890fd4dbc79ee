/** One machine's steps: authorizer, transition, and the texts they end in. */

import { type Adapter, copyPlain, firstLine, type Outcome } from "./adapter.ts";
import type { Effect } from "./effects.ts";
import { isThenable } from "./effects.ts";
import { describe, forgetGuardError, takeGuardError, userStack } from "./errors.ts";
import { isTooLarge, patchBetween } from "./merge.ts";
import {
  Failure,
  type JsonObject,
  type Refusal,
  type StepEvent,
  type Stepped,
  type Texts,
} from "./protocol.ts";
import { runStep, type Where } from "./scope.ts";

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
  let answer: unknown;
  try {
    answer = runStep(where, () => authorizer(asked));
  } catch (error) {
    if (error instanceof Failure) throw error;
    return ["threw", describe(error), userStack(error)];
  }
  if (answer === true) return null;
  if (answer === false) return ["false", "", ""];
  if (!isThenable(answer)) return ["not-true", describeValue(answer), ""];
  // Its rejection is not news: the refusal is.
  answer.then(undefined, () => {});
  return ["promise", "", ""];
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
    throw error instanceof Failure ? error : machineError(error);
  }
}

const GUARD_FAILED = /^Unable to evaluate guard (?:'(.*?)' )?in transition [^\n]*\n(.*)/s;
const GUARD_MISSING = /^(?:Error: )?Guard '.*' is not implemented/;

function machineError(error: unknown): Failure {
  const guard = takeGuardError(error);
  if (guard) return guardFailure(guard.name, describe(guard.error), userStack(guard.error));
  const found = error instanceof Error ? GUARD_FAILED.exec(error.message) : null;
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
  const texts = textsOf(outcome);
  const tags = JSON.stringify(outcome.tags);
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

function textsOf(outcome: Outcome): Texts {
  const value = JSON.stringify(outcome.value);
  const context = contextText(outcome.context);
  if (isTooLarge(context)) {
    throw new Failure("context-too-large", "the context would be larger than 400,000 bytes");
  }
  return { value, context, rest: outcome.rest };
}

function contextText(context: unknown): string {
  try {
    return JSON.stringify(context) ?? "null";
  } catch (error) {
    const reason = firstLine(error);
    throw new Failure("machine-error", `the context cannot be written as JSON: ${reason}`);
  }
}

/** What outsiders see of a state, as finished JSON. */
function answerText(ts: number, value: string, outcome: Outcome, tags: string): string {
  const states = JSON.stringify(toStrings(outcome.value));
  const visible = publicText(outcome.context);
  return `{"ts":${ts},"state":${value},${visible}"tags":${tags},"done":${outcome.done},` +
    `"states":${states}}`;
}

function publicText(context: unknown): string {
  const text = JSON.stringify((context as { public?: unknown } | null)?.public);
  return text?.startsWith("{") ? `"publicContext":${text},` : "";
}

/** First the names at a level, then those below each in turn, joined by dots (S33). */
function toStrings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  const entries = Object.entries(value as JsonObject);
  const below = entries.flatMap(([key, inner]) => toStrings(inner).map((s) => `${key}.${s}`));
  return [...entries.map(([key]) => key), ...below];
}
