/**
 * The host: a process of Deno that holds one version of one machine and answers Python.
 *
 * Arguments: the path of the socket, the size of the cache in bytes, the network policy.
 */

import { Cache } from "./cache.ts";
import { checkBundle } from "./check.ts";
import { finish, runEffects } from "./effects.ts";
import { describe, userStack } from "./errors.ts";
import { installGlobals, writeError } from "./globals.ts";
import { plainText, toJson } from "./json.ts";
import { loadVersion } from "./machine.ts";
import type { Policy } from "./network.ts";
import {
  failedText,
  Failure,
  HOST,
  type Message,
  type MessageOf,
  PROTOCOL,
  refusedText,
  type Snapshot,
  type StepEvent,
  steppedText,
  type Texts,
} from "./protocol.ts";
import type { Where } from "./scope.ts";
import { openOutbox, readLines } from "./socket.ts";
import { readInstance, startInstance, stepInstance, type Version } from "./stepper.ts";

const CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** How long the host works without a word, at most one thing longer; how long at one instance. */
const TURN_MS = 20;
const RUN_MS = 200;
/** How much it says of one instance at once. */
const RUN_LENGTH = 1_000_000;
const PRINTED_LENGTH_MAX = 512 * 1024;
/** What a log costs besides its text. */
const LOG_LENGTH = 32;

const [path, cacheBytes, policy] = Deno.args;
const exit = Deno.exit;
// Before machine code can put another one in its place.
const now = performance.now.bind(performance);
const socket = await Deno.connect({ transport: "unix", path: path! });
const outbox = openOutbox(socket);
const cache = new Cache(Number(cacheBytes ?? CACHE_BYTES_MAX));
let version: Version | null = null;
let started = 0;
let printing = { since: 0, length: 0 };

installGlobals(writeLog, policy as Policy);
outbox.send(plainText(["hello", PROTOCOL, HOST]));
await readLines(socket, async (lines) => {
  let since = now();
  for (const line of lines) {
    for (const message of JSON.parse(line) as Message[]) {
      dispatch(message);
      if (now() - since < TURN_MS) continue;
      // The watchdog's patience is for one step: it must hear of each that took its time.
      outbox.send('["alive"]');
      await outbox.flush();
      since = now();
    }
  }
});
exit(0);

/** What is printed beyond this within a second is not sent: Python passes on half of it. */
function writeLog(where: Where, stream: string, text: string): void {
  const time = now();
  if (time - printing.since >= 1000) printing = { since: time, length: 0 };
  if (printing.length > PRINTED_LENGTH_MAX) return;
  printing.length += text.length + LOG_LENGTH;
  outbox.send(plainText(["log", where.instance, where.name, where.phase, stream, text]));
}

function dispatch(message: Message): void {
  switch (message[0]) {
    case "step":
      return step(message);
    case "read":
      return read(message);
    case "start":
      return start(message);
    case "commit":
      return commit(message);
    case "drop":
      return cache.drop(message[1], message[2]);
    case "load":
      return void answer(message[1], () => load(message));
    case "check":
      return void answer(message[1], () => check(message));
    case "finish":
      return void answer(message[1], () => finishActions(message));
  }
}

/** Answers a call that takes its time, and that no step waits for. */
async function answer(call: number, work: () => Promise<string>): Promise<void> {
  try {
    outbox.send(await work());
  } catch (error) {
    outbox.send(failedText(call, null, failureOf(error)));
  }
}

/** Whatever is no failure of ours comes from machine code that broke what we rely on. */
function failureOf(error: unknown): Failure {
  if (Failure.is(error)) return error;
  return new Failure("machine-error", `machine code threw: ${describe(error)}`, userStack(error));
}

async function load(
  [, call, code, label, major]: MessageOf<"load">,
): Promise<string> {
  version = await loadVersion(code, label, major);
  return plainText(["loaded", call]);
}

async function check([, call, code, label]: MessageOf<"check">): Promise<string> {
  return plainText(["checked", call, await checkBundle(code, label)]);
}

async function finishActions([, call, ms]: MessageOf<"finish">): Promise<string> {
  return plainText(["finished", call, await finish(ms)]);
}

function start([, call, name, ts, context, auth]: MessageOf<"start">): void {
  const instance = -(++started);
  try {
    const result = startInstance(version!, instance, name, ts, context, auth);
    if ("refused" in result) return outbox.send(refusedText(call, result.refused));
    const { step, effects } = result;
    cache.add(instance, { seq: step.seq, name, texts: step.texts, effects });
    outbox.send(steppedText(call, step));
  } catch (error) {
    outbox.send(failedText(call, 1, failureOf(error)));
  }
}

function step(
  [, call, instance, name, base, snapshot, events]: MessageOf<"step">,
): void {
  const from = textsAt(instance, base, snapshot);
  if (!from) return outbox.send(`["miss",${call}]`);
  outbox.send(`["steps",${call},[${stepAll(instance, name, base, from, events)}]]`);
}

/**
 * Steps through events, each on the newest base, up to one that must be committed first, or until
 * it has taken its time or has much to say.
 */
function stepAll(
  instance: number,
  name: string,
  base: number,
  from: Texts,
  events: StepEvent[],
): string[] {
  const answers: string[] = [];
  const since = now();
  let length = 0;
  for (const event of events) {
    if (length > RUN_LENGTH || answers.length && now() - since > RUN_MS) break;
    try {
      const result = stepInstance(version!, instance, name, base + 1, from, event);
      if ("refused" in result) {
        answers.push(refusedText(null, result.refused));
        continue;
      }
      const { step, effects } = result;
      cache.add(instance, { seq: step.seq, name, texts: step.texts, effects });
      answers.push(steppedText(null, step));
      length += answers.at(-1)!.length;
      base = step.seq;
      from = step.texts;
      if (endsRun(step.effects, step.deliveries)) break;
    } catch (error) {
      answers.push(failedText(null, base + 1, failureOf(error)));
    }
  }
  while (answers.length < events.length) answers.push('["later"]');
  return answers;
}

/** What the machine sends itself at once comes before any event that waits. */
function endsRun(effects: boolean, deliveries: readonly (readonly unknown[])[]): boolean {
  return effects || deliveries.some(([name, , delay]) => name === "set" && !delay);
}

function read(
  [, call, instance, name, base, snapshot, auth]: MessageOf<"read">,
): void {
  const from = textsAt(instance, base, snapshot);
  if (!from) return outbox.send(`["miss",${call}]`);
  try {
    const refused = readInstance(version!, instance, name, from, auth);
    outbox.send(refused ? refusedText(call, refused) : `["allowed",${call}]`);
  } catch (error) {
    outbox.send(failedText(call, null, failureOf(error)));
  }
}

function commit([, instance, seq, becomes]: MessageOf<"commit">): void {
  const id = becomes ?? instance;
  for (const { name, effects } of cache.commit(instance, seq, becomes)) {
    runEffects(id, name, effects, (where, error) => writeError(writeLog, where, error));
  }
}

function textsAt(instance: number, base: number, snapshot: Snapshot | null): Texts | null {
  const known = cache.get(instance, base);
  if (known || !snapshot) return known;
  const [value, context, rest] = snapshot.map((part) => toJson(part) ?? "null");
  const texts = { value, context, rest } as Texts;
  cache.put(instance, base, texts);
  return texts;
}
