/** What we touch of XState's own objects, for each major: other copies share no classes. */

import type { JsonObject } from "./protocol.ts";

// deno-lint-ignore no-explicit-any
export type AnyFunction = (...args: any[]) => unknown;

// XState 4

export interface ScxmlEvent {
  name: string;
  data: JsonObject;
  $$type: "scxml";
  type: string;
}

export interface Action4 {
  type: string;
  exec?: AnyFunction;
  to?: unknown;
  event?: unknown;
  _event?: ScxmlEvent;
  delay?: unknown;
  id?: unknown;
  sendId?: unknown;
  label?: string;
  value?: unknown;
}

export interface State4 {
  value: unknown;
  context: unknown;
  _event: ScxmlEvent;
  historyValue?: unknown;
  actions: Action4[];
  tags: Set<string>;
  done: boolean;
}

export interface Guard4 {
  type: string;
  name?: string;
  predicate?: AnyFunction;
}

export interface Transition4 {
  eventType: string;
  target?: Node4[];
  cond?: Guard4;
  actions: { type: string; exec?: unknown }[];
  internal?: boolean;
}

export interface Node4 {
  id: string;
  key: string;
  type: "atomic" | "compound" | "parallel" | "final" | "history";
  history: "shallow" | "deep" | false;
  description?: string;
  tags: string[];
  initial?: string;
  onEntry: { type: string; id?: unknown }[];
  onExit: { type: string; sendId?: unknown }[];
  invoke: { id: string; src: unknown }[];
  activities: { id?: string; type: string }[];
  states: Record<string, Node4>;
  transitions: Transition4[];
  after: (Transition4 & { delay: unknown })[];
}

export interface Machine4 extends Node4 {
  config: { predictableActionArguments?: boolean };
  options: { guards?: Record<string, unknown>; actions?: Record<string, unknown> };
  context: unknown;
  initialStateValue: unknown;
  getInitialState(value: unknown, context: unknown): State4;
  resolveState(state: unknown): State4;
  transition(state: State4, event: ScxmlEvent, context?: undefined, exec?: Recorder): State4;
  _transition(value: unknown, state: State4, event: ScxmlEvent): unknown;
}

export type Recorder = (action: Action4, context: unknown, event: ScxmlEvent) => void;

// XState 5

export interface Node5 {
  id: string;
  key: string;
  type: "atomic" | "compound" | "parallel" | "final" | "history";
  history: "shallow" | "deep" | false;
  description?: string;
  tags: string[];
  entry: unknown[];
  exit: unknown[];
  states: Record<string, Node5>;
  initial?: { target: Node5[] };
  invoke: { id: string; src: string }[];
  transitions: Map<string, Transition5[]>;
  always?: Transition5[];
  after: (Transition5 & { delay: unknown })[];
}

export interface Transition5 {
  target?: Node5[];
  guard?: unknown;
  actions: unknown[];
  reenter?: boolean;
  eventType: string;
}

export interface Snapshot5 {
  status: "active" | "done" | "error" | "stopped";
  output?: unknown;
  error?: unknown;
  value: unknown;
  context: JsonObject;
  tags: Set<string>;
  _nodes: Node5[];
  historyValue: Record<string, Node5[]>;
}

export interface Machine5 {
  id: string;
  config: { context?: unknown };
  implementations: { actions: Record<string, unknown>; guards: Record<string, unknown> };
  options?: { maxIterations?: number };
  root: Node5;
  idMap?: Map<string, Node5>;
  getStateNodeById(id: string): Node5;
  getInitialSnapshot(scope: unknown, input: unknown): Snapshot5;
  transition(snapshot: Snapshot5, event: unknown, scope: unknown): Snapshot5;
  getTransitionData(snapshot: Snapshot5, event: unknown): unknown;
  restoreSnapshot(persisted: unknown, scope: unknown): Snapshot5;
}

/** What XState 5.19 and later hands to `actionExecutor`. */
export interface Action5 {
  type: string;
  info: unknown;
  params: unknown;
  exec?: AnyFunction;
}
