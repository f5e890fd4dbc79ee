/**
 * XState by itself: runs a machine in its own interpreter or actor, all of it in this process, with
 * a clock that the script moves. Nothing of smply is in here.
 *
 * A line of stdin is `{"source", "script"}`, a module that exports a machine as default and XState's
 * `interpret` or `createActor` as `run`, and what happens to it: a number of milliseconds that pass,
 * or an event. A line of stdout is what was to be seen at the start and after each step.
 */

interface Event {
  type: string;
}

interface Snapshot {
  value: unknown;
  context: unknown;
  tags: Set<string>;
  /** XState 4. */
  done?: boolean;
  /** XState 5. */
  status?: string;
  error?: unknown;
}

interface Running {
  start(): void;
  stop(): void;
  send(event: Event): void;
  getSnapshot(): Snapshot;
  subscribe(observer: { error(error: unknown): void }): void;
}

interface Module {
  default: unknown;
  run(machine: unknown, options: { clock: Clock; input: unknown }): Running;
}

interface Moment {
  state: unknown;
  states: string[];
  tags: string[];
  done: boolean;
  context: unknown;
  actions: string[];
}

interface Timer {
  due: number;
  fire: () => void;
}

/** Fires timers in order of their time, then of their making, and none that was cancelled. */
class Clock {
  #now = 0;
  #made = 0;
  #timers = new Map<number, Timer>();

  setTimeout = (fire: () => void, delay: number): number => {
    this.#timers.set(++this.#made, { due: this.#now + (delay > 0 ? delay : 0), fire });
    return this.#made;
  };

  clearTimeout = (id: number): void => {
    this.#timers.delete(id);
  };

  pass(ms: number): void {
    this.#now += ms;
    for (let id = this.#first(); id !== null; id = this.#first()) {
      const { fire } = this.#timers.get(id)!;
      this.#timers.delete(id);
      fire();
    }
  }

  #first(): number | null {
    let first: [number, Timer] | null = null;
    for (const entry of this.#timers) {
      if (entry[1].due <= this.#now && entry[1].due < (first?.[1].due ?? Infinity)) first = entry;
    }
    return first && first[0];
  }
}

const print = console.log;
let said: string[] = [];
// Before XState is loaded, which keeps the console that it finds.
console.log = (...parts: unknown[]) => void said.push(parts.map(String).join(" "));

const { State } = await import("npm:xstate@4");
const toStrings: (value: unknown) => string[] = (value) =>
  State.prototype.toStrings.call(State.prototype, value);

for await (const line of lines(Deno.stdin.readable)) {
  const { source, script } = JSON.parse(line);
  let answer: unknown;
  try {
    answer = { moments: await runScript(source, script) };
  } catch (error) {
    answer = { error: error instanceof Error ? error.stack : String(error) };
  }
  print(JSON.stringify(answer));
}

async function* lines(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let begun = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const parts = (begun + text).split("\n");
    begun = parts.pop()!;
    yield* parts;
  }
}

/** A module of its own each time, so that no run finds what another has left in it. */
async function load(source: string): Promise<Module> {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function runScript(source: string, script: (number | Event)[]): Promise<Moment[]> {
  const module = await load(source);
  const clock = new Clock();
  said = [];
  const running = module.run(module.default, { clock, input: {} });
  running.subscribe({ error() {} });
  running.start();
  clock.pass(0);
  const moments = [look(running)];
  for (const step of script) {
    if (typeof step !== "number") running.send(step);
    clock.pass(typeof step === "number" ? step : 0);
    moments.push(look(running));
  }
  running.stop();
  return moments;
}

function look(running: Running): Moment {
  const { value, context, tags, done, status, error } = running.getSnapshot();
  if (status === "error") throw error;
  const actions = said;
  said = [];
  return {
    state: value,
    states: toStrings(value),
    tags: [...tags],
    done: done ?? status === "done",
    // As text: an assign may change what is inside of it later.
    context: JSON.parse(JSON.stringify(context)),
    actions,
  };
}
