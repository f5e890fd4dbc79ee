/** The global scope as machine code finds it: what is gone, what is watched, what refuses. */

import { clean, describe, userStack } from "./errors.ts";
import { refuse, runAs, type Where, whereNow } from "./scope.ts";
import { installCrypto } from "./crypto.ts";
import { trackTimer } from "./effects.ts";
import { guardImports } from "./imports.ts";
import { installNetwork, type Policy } from "./network.ts";
import type { AnyFunction } from "./shapes.ts";

export type Stream = "stdout" | "stderr";
export type WriteLog = (where: Where, stream: Stream, text: string) => void;

type Globals = Record<string, unknown>;

// `Buffer` and the storages are lazy getters that need what comes after them in this list.
const GONE = [
  "Buffer",
  "localStorage",
  "sessionStorage",
  "caches",
  "CacheStorage",
  "Cache",
  "Storage",
  "BroadcastChannel",
  "Worker",
  "SharedArrayBuffer",
  "PerformanceMark",
  "PerformanceMeasure",
  "PerformanceObserver",
  "PerformanceObserverEntryList",
  "OffscreenCanvas",
  "ImageBitmapRenderingContext",
  "setImmediate",
  "clearImmediate",
  "alert",
  "confirm",
  "prompt",
  "close",
  "closed",
  "nodeBootstrap",
  "global",
  "process",
  "Deno",
];
const LOG_LENGTH_MAX = 20_000;
const LOADING: Where = { instance: null, name: null, phase: "load", pure: false };
const SPAWN_REFUSED = "persistent spawning is not supported yet: the machine called spawn";

/** Prepares the global scope; must run before any machine code is imported. */
export function installGlobals(write: WriteLog, policy: Policy): void {
  installConsole(write);
  installErrorListeners(write);
  installTimers(write);
  installNetwork(policy);
  installCrypto();
  installClock();
  guardImports();
  for (const name of GONE) delete (globalThis as Globals)[name];
  removeGpu();
  define("process", Object.freeze({ env: Object.freeze({ NODE_ENV: "production" }) }));
  const runtime = Object.freeze({ spawn: () => refuse(SPAWN_REFUSED) });
  define("__statebacked_rt", runtime);
  define("__statebaked_rt", runtime);
}

/** A driver of this machine, and one with a clock of its own. */
function removeGpu(): void {
  delete (Navigator.prototype as unknown as Globals).gpu;
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (name.startsWith("GPU")) delete (globalThis as Globals)[name];
  }
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: false, writable: false });
}

interface DenoInternals {
  Console: new (print: (text: string, level: number) => void) => Console;
}

function installConsole(write: WriteLog): void {
  const symbols = Deno as unknown as Record<symbol, DenoInternals> & { internal: symbol };
  const { Console } = symbols[symbols.internal]!;
  const print = (text: string, level: number) => {
    const line = clean(text.replace(/\n$/, ""), LOG_LENGTH_MAX);
    write(whereNow() ?? LOADING, level > 1 ? "stderr" : "stdout", line);
  };
  const console = new Console(print);
  installStopwatch(console);
  Object.defineProperty(globalThis, "console", {
    value: console,
    configurable: true,
    writable: true,
  });
}

/** Deno's own shows parts of a millisecond, to whoever takes the place of `String.replace`. */
function installStopwatch(console: Console): void {
  const begun = new Map<string, number>();
  const now = Date.now;
  const tell = (label: string, rest: unknown[]) => {
    const since = begun.get(label);
    if (since === undefined) console.warn(`Timer '${label}' does not exist`);
    else console.log(`${label}: ${now() - since}ms`, ...rest);
  };
  console.time = (label = "default") => void begun.set(`${label}`, now());
  console.timeLog = (label = "default", ...rest) => tell(`${label}`, rest);
  console.timeEnd = (label = "default") => (tell(`${label}`, []), void begun.delete(`${label}`));
}

function installErrorListeners(write: WriteLog): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    writeError(write, { ...(whereNow() ?? LOADING), phase: "rejection" }, event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    writeError(write, { ...(whereNow() ?? LOADING), phase: "timer" }, event.error);
  });
}

/** One log line for something thrown: its name and message, below it the user's stack. */
export function writeError(write: WriteLog, where: Where, error: unknown): void {
  const stack = userStack(error);
  write(where, "stderr", stack ? `${describe(error)}\n${stack}` : describe(error));
}

function installTimers(write: WriteLog): void {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const guarded = (callback: unknown, done: () => void) => (...args: unknown[]) => {
    const where: Where = { ...(whereNow() ?? LOADING), phase: "timer" };
    runAs(where, () => {
      try {
        if (typeof callback === "function") callback(...args);
      } catch (error) {
        writeError(write, where, error);
      } finally {
        done();
      }
    });
  };
  const begun = new Map<unknown, () => void>();
  const stop = (id: unknown) => {
    begun.get(id)?.();
    begun.delete(id);
  };
  const scope = globalThis as Globals;
  // A number, as on the web: Deno's own timers are Node's objects, whose class makes unwatched ones.
  scope.setTimeout = (callback: unknown, delay?: number, ...args: unknown[]) => {
    const end = trackTimer(whereNow());
    const id = +setTimeout(guarded(callback, () => (begun.delete(id), end?.())), delay, ...args);
    if (end) begun.set(id, end);
    return id;
  };
  scope.setInterval = (callback: unknown, delay?: number, ...args: unknown[]) =>
    +setInterval(guarded(callback, () => {}), delay, ...args);
  scope.clearTimeout = (id?: number) => (stop(id), clearTimeout(id));
  scope.clearInterval = (id?: number) => (stop(id), clearInterval(id));
}

/** No timer of high resolution (S20). */
function installClock(): void {
  const { prototype } = Performance;
  const now = prototype.now;
  const timeOrigin = Math.floor(performance.timeOrigin);
  prototype.now = function (this: Performance) {
    return Math.floor(now.call(this));
  };
  prototype.toJSON = () => ({ timeOrigin });
  Object.defineProperty(prototype, "timeOrigin", { get: () => timeOrigin });
  for (const name of ["mark", "measure"]) {
    delete (prototype as unknown as Globals)[name];
  }
  const { Temporal } = globalThis as unknown as { Temporal?: { Now: Record<string, AnyFunction> } };
  for (const name of ["instant", "zonedDateTimeISO", "plainDateTimeISO", "plainTimeISO"]) {
    if (Temporal) roundToMilliseconds(Temporal.Now, name);
  }
}

interface Roundable {
  round(to: { smallestUnit: "millisecond"; roundingMode: "trunc" }): unknown;
}

function roundToMilliseconds(now: Record<string, AnyFunction>, name: string): void {
  const exact = now[name]!;
  now[name] = (...args: unknown[]) =>
    (exact(...args) as Roundable).round({ smallestUnit: "millisecond", roundingMode: "trunc" });
}
