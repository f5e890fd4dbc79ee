/** A machine's definition as plain data, the same for both majors; made without machine code. */

import type { Major } from "./machine.ts";
import type {
  Guard4,
  Machine4,
  Machine5,
  Node4,
  Node5,
  Transition4,
  Transition5,
} from "./shapes.ts";

export interface Transition {
  targets: string[];
  guard?: string;
  actions: string[];
  reenter?: boolean;
}

export interface Node {
  id: string;
  key: string;
  type: string;
  initial?: string;
  history?: string;
  description?: string;
  tags?: string[];
  entry?: string[];
  exit?: string[];
  on?: Record<string, Transition[]>;
  always?: Transition[];
  after?: ({ delay: number | string } & Transition)[];
  invoke?: { id: string; src: string }[];
  states?: Record<string, Node>;
}

export interface Summary {
  definition: Node;
  /** Numbers of states below the root, and of transitions. */
  states: number;
  transitions: number;
  /** What would run as a service, such as "invoke fetchUser in checkout.payment". */
  services: string[];
}

const INLINE = "(inline)";

export function definitionOf(machine: unknown, major: Major): Summary {
  const definition = major === 4
    ? node4(machine as Machine4, (machine as Machine4).options.guards ?? {})
    : node5((machine as Machine5).root);
  const nodes = [...walk(definition)];
  const counts = nodes.map(transitionsIn);
  return {
    definition,
    states: nodes.length - 1,
    transitions: counts.reduce((sum, count) => sum + count, 0),
    services: major === 4 ? services4(machine as Node4) : servicesOf5(machine as Machine5),
  };
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of Object.values(node.states ?? {})) yield* walk(child);
}

function transitionsIn({ on = {}, always = [], after = [] }: Node): number {
  return Object.values(on).flat().length + always.length + after.length;
}

/** Leaves out what is empty, so that a definition holds what its author wrote. */
function compact(node: Node): Node {
  const entries = Object.entries(node).filter(([, value]) =>
    value !== undefined && value !== false && !(typeof value === "object" && isEmpty(value))
  );
  return Object.fromEntries(entries) as unknown as Node;
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

function children<N>(states: Record<string, N>, make: (node: N) => Node): Record<string, Node> {
  return Object.fromEntries(Object.entries(states).map(([key, node]) => [key, make(node)]));
}

function groupByEvent<T extends { eventType: string }>(
  transitions: T[],
  make: (transition: T) => Transition,
): Record<string, Transition[]> {
  const groups = Object.groupBy(transitions, ({ eventType }) => eventType);
  return Object.fromEntries(
    Object.entries(groups).map(([event, group]) => [event, group!.map(make)]),
  );
}

function isAfter(eventType: string): boolean {
  return eventType.startsWith("xstate.after");
}

/** The name of an action, a delay or a source: a string, an object's type, or "(inline)". */
function nameOf(value: unknown): string {
  if (typeof value === "string") return value || INLINE;
  const { type } = (value ?? {}) as { type?: unknown };
  if (typeof type !== "string" || type === "xstate.function") return INLINE;
  return type.replace(/^xstate\./, "");
}

// XState 5

function node5(node: Node5): Node {
  const events = [...node.transitions.values()].flat().filter(({ eventType }) =>
    !isAfter(eventType)
  );
  return compact({
    id: node.id,
    key: node.key,
    type: node.type,
    initial: node.type === "compound" ? node.initial?.target[0]?.key : undefined,
    history: node.history || undefined,
    description: node.description,
    tags: node.tags,
    entry: actions5(node.entry),
    exit: actions5(node.exit),
    on: groupByEvent(events, transition5),
    always: node.always?.map(transition5),
    after: node.after.map((after) => ({ delay: delayOf(after.delay), ...transition5(after) })),
    invoke: node.invoke.map(({ id, src }) => ({ id, src: source5(src) })),
    states: children(node.states, node5),
  });
}

function transition5(transition: Transition5): Transition {
  return {
    targets: (transition.target ?? []).map(({ id }) => id),
    ...(transition.guard ? { guard: guard5(transition.guard) } : {}),
    actions: actions5(transition.actions),
    ...(transition.reenter ? { reenter: true } : {}),
  };
}

function guard5(guard: unknown): string {
  return typeof guard === "function" ? INLINE : nameOf(guard);
}

/** Without the raise and the cancel that XState adds for each `after`. */
function actions5(actions: unknown[]): string[] {
  return actions.filter((action) => !isForAfter5(action)).map((action) => {
    const isBuiltIn = typeof action === "function" && "resolve" in action;
    return typeof action === "function" && !isBuiltIn ? INLINE : nameOf(action);
  });
}

function isForAfter5(action: unknown): boolean {
  const { id, sendId } = (action ?? {}) as { id?: unknown; sendId?: unknown };
  return [id, sendId].some((text) => typeof text === "string" && isAfter(text));
}

function delayOf(delay: unknown): number | string {
  if (typeof delay === "number") return delay;
  const text = typeof delay === "string" ? delay : INLINE;
  return /^\d+$/.test(text) ? Number(text) : text;
}

function source5(src: string): string {
  return src.startsWith("xstate.invoke.") ? INLINE : src;
}

function servicesOf5({ root, implementations }: Machine5): string[] {
  return services5(root, new Map(Object.entries(implementations.actions)));
}

/** `named` are the implementations that actions given by name stand for. */
function services5(node: Node5, named: Map<string, unknown>): string[] {
  const invoked = node.invoke.map(({ src }) => `invoke ${source5(src)} in ${node.id}`);
  const spawned = actionsOf5(node).some((action) => isSpawn(named.get(nameOf(action)) ?? action))
    ? [`spawnChild in ${node.id}`]
    : [];
  const below = Object.values(node.states).flatMap((child) => services5(child, named));
  return [...invoked, ...spawned, ...below];
}

function actionsOf5(node: Node5): unknown[] {
  const transitions = [...node.transitions.values()].flat();
  const always = node.always ?? [];
  return [...node.entry, ...node.exit, ...[...transitions, ...always].flatMap((t) => t.actions)];
}

/** The built-in action, whose type differs between releases of XState 5. */
function isSpawn(action: unknown): boolean {
  const { type, resolve } = (action ?? {}) as { type?: unknown; resolve?: unknown };
  return typeof resolve === "function" && /\.spawn(Child)?$/.test(String(type));
}

// XState 4

function node4(node: Node4, guards: Record<string, unknown>): Node {
  const transition = (found: Transition4) => transition4(found, guards);
  const always = node.transitions.filter(({ eventType }) => eventType === "");
  const events = node.transitions.filter(({ eventType }) =>
    eventType !== "" && !isAfter(eventType)
  );
  return compact({
    id: node.id,
    key: node.key,
    type: node.type,
    initial: node.initial,
    history: node.history || undefined,
    description: node.description,
    tags: node.tags,
    entry: node.onEntry.filter((action) => !isForAfter4(action)).map(action4),
    exit: node.onExit.filter((action) => !isForAfter4(action)).map(action4),
    on: groupByEvent(events, transition),
    always: always.map(transition),
    after: node.after.map((after) => ({ delay: delayOf(after.delay), ...transition(after) })),
    invoke: node.invoke.map(({ id, src }) => ({ id, src: source4(src) })),
    states: children(node.states, (child) => node4(child, guards)),
  });
}

function transition4(transition: Transition4, guards: Record<string, unknown>): Transition {
  return {
    targets: (transition.target ?? []).map(({ id }) => id),
    ...(transition.cond ? { guard: guard4(transition.cond, guards) } : {}),
    actions: transition.actions.map(action4),
  };
}

/** A guard by name has that name and the named function; an inline one has no other place. */
function guard4(cond: Guard4, guards: Record<string, unknown>): string {
  const isNamed = !cond.predicate ||
    (cond.name !== undefined && guards[cond.name] === cond.predicate);
  return isNamed ? nameOf(cond.name ?? cond.type) : INLINE;
}

/** An inline function becomes an action whose type is its name, and it alone has its `exec`. */
function action4(action: { type: string; exec?: unknown }): string {
  return typeof action.exec === "function" ? INLINE : nameOf(action);
}

function isForAfter4({ id, sendId }: { id?: unknown; sendId?: unknown }): boolean {
  return [id, sendId].some((text) => typeof text === "string" && isAfter(text));
}

function source4(src: unknown): string {
  const name = nameOf(src);
  return name.includes(":invocation[") ? INLINE : name;
}

function services4(node: Node4): string[] {
  const invoked = node.invoke.map(({ src }) => `invoke ${source4(src)} in ${node.id}`);
  const activities = node.activities
    .filter(({ type }) => type !== "xstate.invoke")
    .map(({ type }) => `activity ${type} in ${node.id}`);
  return [...invoked, ...activities, ...Object.values(node.states).flatMap(services4)];
}
