/**
 * Drives a machine of XState 4 by the machine's own methods; actions come out unexecuted.
 *
 * With `predictableActionArguments` a recorder hears of them in the interpreter's order, each with
 * its own context and event; otherwise, and always at the start, they are in `state.actions` and
 * take the final context.
 */

import {
  type Adapter,
  copyPlain,
  deliver,
  deliverAtOnce,
  noType,
  type Outcome,
  requireType,
} from "./adapter.ts";
import type { Effect } from "./effects.ts";
import { isError, wrapGuard } from "./errors.ts";
import { toJson } from "./json.ts";
import type { Delivery, JsonObject, Texts } from "./protocol.ts";
import { refuse } from "./scope.ts";
import type {
  Action4,
  AnyFunction,
  Guard4,
  Machine4,
  Node4,
  Recorder,
  ScxmlEvent,
  State4,
} from "./shapes.ts";

/** The stack on which our copy's `spawn` looks for the service that runs it. */
export interface ServiceScope {
  provide(service: unknown, fn: () => unknown): unknown;
}

const SPAWN_REFUSED = "spawning is not supported yet: the machine used spawn";
const SEND_REFUSED = "sending to anyone but the instance itself is not supported yet";
const NOT_BUILT = new Map([
  ["xstate.start", "services are not supported yet: the machine started one"],
  ["xstate.stop", "stopping children is not supported yet: the machine used stop"],
]);

/** `services` is null for a machine that carries a copy of its own. */
export function adapt4(machine: Machine4, services: ServiceScope | null): Adapter {
  prepare(machine);
  const spawning = services ? (step: () => State4) => withSpawn(services, step) : withoutSpawn;
  const guarded: RunStep4 = (step) => translate(() => spawning(step));
  return {
    start(given) {
      const context = { ...copyPlain(machine.context as JsonObject | undefined), ...given };
      const state = guarded(() => machine.getInitialState(machine.initialStateValue, context));
      return outcomeOf(machine, state, recorded(state), false);
    },
    step(from, event) {
      const before = restore(machine, from);
      if (before.done) return outcomeOf(machine, before, [], true);
      return step(machine, before, event, guarded);
    },
  };
}

function prepare(machine: Machine4): void {
  const guards: Record<string, unknown> = {};
  for (const [name, guard] of Object.entries(machine.options.guards ?? {})) {
    guards[name] = typeof guard === "function" ? wrapGuard(name, guard as AnyFunction) : guard;
  }
  machine.options = { ...machine.options, guards };
  wrapInlineGuards(machine, guards);
  requireTypes(machine);
}

/** What a machine raises without a delay comes to light nowhere else. */
function requireTypes(machine: Machine4): void {
  const select = machine._transition;
  machine._transition = (value, state, event) => {
    requireType(event.data);
    return select.call(machine, value, state, event);
  };
}

const NO_OBJECT = /^Cannot use 'in' operator to search for '\$\$type' in (.*)/;

/** XState 4 looks into an event that a machine raises or sends before anybody else can. */
function translate(step: () => State4): State4 {
  try {
    return step();
  } catch (error) {
    const found = isError(error) ? NO_OBJECT.exec(error.message) : null;
    throw found ? noType(found[1]!) : error;
  }
}

function wrapInlineGuards(node: Node4, named: Record<string, unknown>): void {
  for (const { cond } of node.transitions) {
    if (cond?.predicate) cond.predicate = wrapGuard(guardName(cond), cond.predicate);
    else if (cond?.name && !(cond.name in named)) cond.predicate = missingGuard(cond.name);
  }
  for (const child of Object.values(node.states)) wrapInlineGuards(child, named);
}

function guardName({ name }: Guard4): string {
  return name && name !== "cond" ? name : "(inline)";
}

/** XState 4 calls a guard by a name that nobody implements, as though it were a function. */
function missingGuard(name: string): AnyFunction {
  return () => {
    throw new Error(`Guard '${name}' is not implemented.`);
  };
}

type Recorded = [action: Action4, context: unknown, event: ScxmlEvent];
type RunStep4 = (step: () => State4) => State4;

function step(machine: Machine4, before: State4, event: JsonObject, guarded: RunStep4): Outcome {
  const list: Recorded[] = [];
  const recorder: Recorder | undefined = machine.config.predictableActionArguments
    ? (action, context, _event) => void list.push([action, context, _event])
    : undefined;
  // Given whole: XState would take an event with a `$$type` of its own for one of its envelopes.
  const _event: ScxmlEvent = {
    name: event.type as string,
    data: event,
    $$type: "scxml",
    type: "external",
  };
  const state = guarded(() => machine.transition(before, _event, undefined, recorder));
  return outcomeOf(machine, state, recorder ? list : recorded(state), false);
}

function recorded(state: State4): Recorded[] {
  return state.actions.map((action) => [action, state.context, state._event]);
}

/** `provide` leaves its service on the stack when its function throws: nothing may. */
function withSpawn(services: ServiceScope, step: () => State4): State4 {
  let thrown: [unknown] | null = null;
  const service = { spawn: () => refuse(SPAWN_REFUSED) };
  const state = services.provide(service, () => {
    try {
      return step();
    } catch (error) {
      thrown = [error];
    }
  });
  if (thrown) throw (thrown as [unknown])[0];
  return state as State4;
}

/** Another copy's `spawn` cannot be caught, but what it leaves in the context can be seen. */
function withoutSpawn(step: () => State4): State4 {
  const state = step();
  if (holdsDeferredActor(state.context, new Set())) refuse(SPAWN_REFUSED);
  return state;
}

function holdsDeferredActor(value: unknown, seen: Set<unknown>): boolean {
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  seen.add(value);
  const { deferred, send } = value as { deferred?: unknown; send?: unknown };
  if (deferred === true && typeof send === "function") return true;
  return Object.values(value).some((item) => holdsDeferredActor(item, seen));
}

/** `resolveState` sorts parallel regions, and their order is that of assigns and actions. */
function restore(machine: Machine4, from: Texts): State4 {
  const value = JSON.parse(from.value);
  const state = machine.resolveState({
    ...JSON.parse(from.rest),
    value,
    context: JSON.parse(from.context),
  });
  state.value = value;
  return state;
}

function outcomeOf(machine: Machine4, state: State4, list: Recorded[], wasDone: boolean): Outcome {
  const deliveries: Delivery[] = [];
  const effects: Effect[] = [];
  for (const item of list) sort(machine, state, item, deliveries, effects);
  const { value, context, _event, historyValue, done } = state;
  return {
    value,
    context,
    rest: restText(machine, _event, historyValue),
    tags: [...state.tags],
    done,
    // XState drops the timers and the queue of an interpreter at its end.
    deliveries: done && !wasDone ? [["clear"]] : deliveries,
    effects,
  };
}

const withHistory = new WeakMap<Node4, boolean>();

/** History values grow with the machine, and only history nodes ever ask for them. */
function restText(machine: Machine4, _event: ScxmlEvent, historyValue: unknown): string {
  let needed = withHistory.get(machine);
  if (needed === undefined) withHistory.set(machine, needed = hasHistory(machine));
  return toJson(needed ? { _event, historyValue } : { _event })!;
}

function hasHistory(node: Node4): boolean {
  return node.type === "history" || Object.values(node.states).some(hasHistory);
}

function sort(
  machine: Machine4,
  state: State4,
  item: Recorded,
  deliveries: Delivery[],
  effects: Effect[],
): void {
  const [action] = item;
  const custom = customEffect(machine, state, item);
  if (custom) effects.push(custom);
  else if (action.type === "xstate.send" || action.type === "xstate.raise") {
    deliveries.push(sendToSelf(action));
  } else if (action.type === "xstate.cancel") deliveries.push(["cancel", String(action.sendId)]);
  else if (action.type === "xstate.log") effects.push({ name: "log", run: () => print(action) });
  else if (NOT_BUILT.has(action.type)) refuse(NOT_BUILT.get(action.type)!);
}

/** As the interpreter looks for and calls an implementation. */
function customEffect(machine: Machine4, state: State4, item: Recorded): Effect | null {
  const [action, context, _event] = item;
  const found = action.exec ?? machine.options.actions?.[action.type];
  const exec = typeof found === "function"
    ? found
    : (found as { exec?: unknown } | undefined)?.exec;
  if (typeof exec !== "function") return null;
  const meta = machine.config.predictableActionArguments
    ? { action, _event }
    : { action, state, _event };
  return { name: action.type, run: () => exec(context, _event.data, meta) };
}

function sendToSelf(action: Action4): Delivery {
  const { to, delay, id, _event } = action;
  if (to && to !== "#_internal") refuse(SEND_REFUSED);
  const event = _event!.data;
  return typeof delay === "number" ? deliver(id, delay, event) : deliverAtOnce(event);
}

function print({ label, value }: Action4): void {
  if (label) console.log(label, value);
  else console.log(value);
}
