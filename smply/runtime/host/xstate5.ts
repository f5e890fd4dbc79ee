/**
 * Drives a machine of XState 5, any release of it, by nothing but the machine's own methods.
 *
 * Built-in actions (raise, sendTo, cancel, log) are run still inside the step against a scope of
 * ours, where they come out as data; custom actions are kept for after the commit. Up to 5.18
 * actions arrive as closures through `defer`, where built-ins are known by their "bound" names;
 * from 5.19 on they arrive through `actionExecutor`, with a type.
 */

import {
  type Adapter,
  copyPlain,
  deliver,
  deliverAtOnce,
  type Outcome,
  requireType,
} from "./adapter.ts";
import { type Effect, nameAction } from "./effects.ts";
import { isError, wrapGuard } from "./errors.ts";
import { toJson } from "./json.ts";
import { type Delivery, Failure, type JsonObject, type Texts } from "./protocol.ts";
import { inStep, refuse } from "./scope.ts";
import type { Action5, AnyFunction, Machine5, Node5, Snapshot5 } from "./shapes.ts";

interface Rest5 {
  status: Snapshot5["status"];
  output?: unknown;
  error?: unknown;
  history?: Record<string, string[]>;
  /** The active states by their places in the document, where there are regions. */
  nodes?: number[];
}

const MICROSTEPS_MAX = 10_000;
const REST_ACTIVE = '{"status":"active"}';
const BUILT_IN = new Set(["xstate.raise", "xstate.sendTo", "xstate.cancel", "xstate.log"]);
const NOT_BUILT = new Map([
  ["xstate.spawnChild", "spawning is not supported yet: the machine used spawnChild"],
  ["xstate.stopChild", "stopping children is not supported yet: the machine used stopChild"],
  ["xstate.emit", "emitting events is not supported yet: the machine used emit"],
]);
const SEND_REFUSED = "sending to anyone but the instance itself is not supported yet";

export function adapt5(machine: Machine5): Adapter {
  prepare(machine);
  const scope = new Scope5(new Places(machine.root));
  return {
    start: (given) => scope.record(() => initialSnapshot(machine, scope, given)),
    step: (from, event) =>
      scope.record(() => {
        const snapshot = restore(machine, scope, from);
        scope.snapshot = snapshot;
        requireNotFailed(snapshot);
        return snapshot.status === "active" ? machine.transition(snapshot, event, scope) : snapshot;
      }),
  };
}

/** One that came to its end takes events and ignores them; these two did not (Q10, Q63). */
function requireNotFailed({ status }: Snapshot5): void {
  if (status !== "error" && status !== "stopped") return;
  const what = status === "error" ? "has failed" : "was stopped";
  throw new Failure("invalid-state", `it ${what} and takes no more events`);
}

function prepare(machine: Machine5): void {
  if (machine.options && !((machine.options.maxIterations ?? Infinity) < Infinity)) {
    machine.options.maxIterations = MICROSTEPS_MAX;
  }
  const { actions, guards } = machine.implementations;
  machine.implementations = {
    ...machine.implementations,
    actions: mapValues(actions, telling),
    guards: mapValues(
      guards,
      (guard, name) => isPlainGuard(guard) ? wrapGuard(name, guard) : guard,
    ),
  };
  wrapInline(machine.root);
  requireTypes(machine);
}

/** What a machine raises without a delay comes to light nowhere else. */
function requireTypes(machine: Machine5): void {
  const select = machine.getTransitionData;
  machine.getTransitionData = (snapshot, event) => {
    requireType(event);
    return select.call(machine, snapshot, event);
  };
}

type Wrap = (value: unknown, name: string) => unknown;

function mapValues(values: Record<string, unknown>, wrap: Wrap): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, wrap(value, name)]),
  );
}

function wrapInline(node: Node5): void {
  for (const transition of [...node.transitions.values(), node.always ?? []].flat()) {
    const { guard } = transition;
    if (isPlainGuard(guard)) transition.guard = wrapGuard(inlineName(guard), guard);
    transition.actions = transition.actions.map((action) => telling(action));
  }
  node.entry = node.entry.map((action) => telling(action));
  node.exit = node.exit.map((action) => telling(action));
  Object.values(node.states).forEach(wrapInline);
}

/** What the custom action that ran last gave back. */
let returned: unknown;

/**
 * A custom action that tells its name and what it gives back when it runs: up to 5.18 it is queued
 * as a closure that does neither. Built-in actions, which have a `resolve`, stay as they are.
 */
function telling(action: unknown, name?: string): unknown {
  if (typeof action !== "function" || "resolve" in action) return action;
  const told = name ?? action.name;
  const wrapped: AnyFunction = (...args) => {
    if (told) nameAction(told);
    return returned = action(...args);
  };
  return Object.defineProperty(wrapped, "name", { value: action.name });
}

function resultOf(closure: AnyFunction): unknown {
  returned = undefined;
  closure();
  return returned;
}

/** Guards made by `and`, `or`, `not`, `stateIn` have a `check` and are no code of the user's. */
function isPlainGuard(guard: unknown): guard is AnyFunction {
  return typeof guard === "function" && !("check" in guard);
}

function inlineName(guard: AnyFunction): string {
  return guard.name && guard.name !== "guard" ? guard.name : "(inline)";
}

/**
 * The start of a machine whose context is replaced for this once. The machine is not built again
 * for it, as that costs more than the start itself.
 */
function initialSnapshot(machine: Machine5, scope: Scope5, given: JsonObject): Snapshot5 {
  const { context } = machine.config;
  const own = typeof context === "function"
    ? (args: unknown) => copyPlain((context as AnyFunction)(args))
    : { ...copyPlain(context as JsonObject | undefined), ...given };
  const started: Machine5 = Object.create(machine, {
    config: { value: { ...machine.config, context: own } },
  });
  const snapshot = Object.getPrototypeOf(machine).getInitialSnapshot.call(started, scope, given);
  if (snapshot.status === "error") throw snapshot.error;
  return snapshot;
}

/** History comes as ids: what `restoreSnapshot` makes of it differs between releases. */
function restore(machine: Machine5, scope: Scope5, from: Texts): Snapshot5 {
  const rest: Rest5 = from.rest === REST_ACTIVE ? { status: "active" } : JSON.parse(from.rest);
  const snapshot = machine.restoreSnapshot({
    status: rest.status,
    output: rest.output,
    error: rest.error,
    value: JSON.parse(from.value),
    context: JSON.parse(from.context),
    children: {},
    historyValue: {},
  }, scope);
  for (const [key, ids] of Object.entries(rest.history ?? {})) {
    snapshot.historyValue[key] = ids.map((id) => nodeOf(machine, id));
  }
  if (rest.nodes) snapshot._nodes = scope.places.inOrder(snapshot._nodes, rest.nodes);
  return snapshot;
}

/** By the map where there is one: `getStateNodeById` takes an id with dots for a path. */
function nodeOf(machine: Machine5, id: string): Node5 {
  return machine.idMap?.get(id) ?? machine.getStateNodeById(`#${id}`);
}

/**
 * The states of a machine by number. With parallel states the order of the active ones is that in
 * which they were entered; transitions without an event are tried in it, and a restored snapshot
 * has another one.
 */
class Places {
  readonly #nodes: Node5[];
  readonly #places: Map<Node5, number> | null;

  constructor(root: Node5) {
    this.#nodes = withDescendants(root);
    const hasRegions = this.#nodes.some((node) => node.type === "parallel");
    this.#places = hasRegions ? new Map(this.#nodes.map((node, place) => [node, place])) : null;
  }

  of(nodes: Node5[]): number[] | undefined {
    const places = this.#places;
    return places ? nodes.map((node) => places.get(node)!) : undefined;
  }

  inOrder(nodes: Node5[], places: number[]): Node5[] {
    const active = new Set(nodes);
    const ordered = places.map((place) => this.#nodes[place]!);
    const same = ordered.length === active.size && ordered.every((node) => active.has(node));
    return same ? ordered : nodes;
  }
}

function withDescendants(node: Node5): Node5[] {
  return [node, ...Object.values(node.states).flatMap(withDescendants)];
}

function restText(snapshot: Snapshot5, places: Places): string {
  const { status, output, error, historyValue } = snapshot;
  const keys = Object.keys(historyValue);
  const nodes = places.of(snapshot._nodes);
  if (status === "active" && !keys.length && !nodes) return REST_ACTIVE;
  const rest: Rest5 = { status, output, error, nodes };
  if (keys.length) {
    rest.history = {};
    for (const key of keys) rest.history[key] = historyValue[key]!.map((node) => node.id);
  }
  return toJson(rest)!;
}

/** What XState calls while it steps. One serves all steps of a machine: they are synchronous. */
class Scope5 {
  id = "instance";
  sessionId = "instance";
  snapshot: Snapshot5 | null = null;
  #entries: (Action5 | AnyFunction)[] = [];
  #deferred: AnyFunction[] | null = null;
  #deliveries: Delivery[] = [];
  #effects: Effect[] = [];

  readonly self = {
    id: this.id,
    sessionId: this.sessionId,
    _parent: undefined,
    _processingStatus: 0,
    send: (event: JsonObject) => this.#sendSelf(event),
    _send: (event: JsonObject) => this.#sendSelf(event),
    getSnapshot: () => this.snapshot,
    on: () => ({ unsubscribe() {} }),
    subscribe: () => ({ unsubscribe() {} }),
    // Up to 5.8 or so actors kept their own timers.
    delaySend: (
      { event, id, delay, to }: { event: unknown; id?: string; delay: number; to?: unknown },
    ) => this.#schedule(to ?? this.self, event, delay, id),
    cancel: (id: string) => this.#deliveries.push(["cancel", String(id)]),
    get ref() {
      return this;
    },
    system: undefined as unknown,
  };

  readonly system = {
    _bookId: () => refuse("spawning is not supported yet: the machine used spawn or spawnChild"),
    _register() {},
    _unregister() {},
    _set() {},
    _sendInspectionEvent() {},
    inspect: () => ({ unsubscribe() {} }),
    get: () => undefined,
    getAll: () => ({}),
    _relay: (_source: unknown, target: unknown, event: JsonObject) => {
      if (target !== this.self) refuse(SEND_REFUSED);
      this.#sendSelf(event);
    },
    scheduler: {
      schedule: (_source: unknown, target: unknown, event: unknown, delay: number, id?: string) =>
        this.#schedule(target, event, delay, id),
      cancel: (_source: unknown, id: string) => this.#deliveries.push(["cancel", String(id)]),
      cancelAll() {},
    },
    _clock: { setTimeout() {}, clearTimeout() {} },
    _logger: (...args: unknown[]) => this.logger(...args),
  };

  constructor(readonly places: Places) {
    this.self.system = this.system;
  }

  /** Runs a start or a step and gathers what it asked for. */
  record(step: () => Snapshot5): Outcome {
    this.snapshot = null;
    this.#entries = [];
    this.#deferred = null;
    this.#deliveries = [];
    this.#effects = [];
    const snapshot = translate(step);
    this.#settle();
    const isOver = snapshot.status !== "active";
    const before = this.snapshot as Snapshot5 | null;
    return {
      value: snapshot.value,
      context: snapshot.context,
      rest: restText(snapshot, this.places),
      tags: [...snapshot.tags],
      done: snapshot.status === "done",
      // XState drops the timers and the mailbox of an actor at its end.
      deliveries: isOver && before?.status !== "done" ? [["clear"]] : this.#deliveries,
      effects: this.#effects,
    };
  }

  /** Built-ins send and schedule after all else, as the real actor does. */
  #settle(): void {
    const deferred: AnyFunction[] = [];
    this.#deferred = deferred;
    for (const entry of this.#entries) {
      if (typeof entry === "function") this.#settleClosure(entry);
      else this.#settleAction(entry);
    }
    for (const fn of deferred) fn();
  }

  #settleAction({ type, info, params, exec }: Action5): void {
    if (type === "xstate.sendTo") requireType((params as { event: unknown }).event);
    if (BUILT_IN.has(type)) exec?.();
    else if (NOT_BUILT.has(type)) refuse(NOT_BUILT.get(type)!);
    else if (exec) this.#effects.push({ name: type, run: () => exec(info, params) });
  }

  #settleClosure(fn: AnyFunction): void {
    if (fn.name.startsWith("bound ")) fn();
    else this.#effects.push({ name: "(action)", run: () => resultOf(fn) });
  }

  actionExecutor = (action: Action5): void => {
    this.#entries.push(action);
  };

  defer = (fn: AnyFunction): void => {
    (this.#deferred ?? this.#entries).push(fn);
  };

  logger = (...args: unknown[]): void => {
    this.#effects.push({ name: "log", run: () => console.log(...args) });
  };

  emit = (): never => refuse(NOT_BUILT.get("xstate.emit")!);

  stopChild = (): never => refuse(NOT_BUILT.get("xstate.stopChild")!);

  #schedule(target: unknown, event: unknown, delay: number, id?: string): void {
    if (target !== this.self) refuse(SEND_REFUSED);
    this.#deliveries.push(deliver(id, delay, event));
  }

  #sendSelf(event: JsonObject): void {
    if (!inStep()) throw new Error("sending from inside an action is not supported yet");
    this.#deliveries.push(deliverAtOnce(event));
  }
}

function translate(step: () => Snapshot5): Snapshot5 {
  try {
    return step();
  } catch (error) {
    const message = isError(error) ? String(error.message) : "";
    if (!message.startsWith("Unable to send event to actor")) throw error;
    throw new Failure("not-implemented", `${SEND_REFUSED} (${message.split("\n", 1)[0]})`);
  }
}
