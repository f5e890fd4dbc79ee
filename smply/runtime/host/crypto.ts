/**
 * Cryptography as machine code finds it: one thing after the other. Deno gives each to a thread of
 * its own, where no watchdog sees it, and many would take the CPU of all other machines.
 */

import { track } from "./effects.ts";
import { whereNow } from "./scope.ts";
import type { AnyFunction } from "./shapes.ts";

const SLOW = [
  "decrypt",
  "deriveBits",
  "deriveKey",
  "digest",
  "encrypt",
  "generateKey",
  "sign",
  "verify",
];

// Captured: machine code may put others in their place. Nor does it find what waits here.
const { apply } = Reflect;
const { then } = Promise.prototype;
const waiting: Record<number, () => void> = Object.create(null);
let first = 0;
let end = 0;
let isBusy = false;

/** Makes the slow methods of `crypto.subtle` wait for each other. */
export function installCrypto(): void {
  const prototype = SubtleCrypto.prototype as unknown as Record<string, AnyFunction>;
  for (const name of SLOW) {
    const exact = prototype[name]!;
    prototype[name] = function (this: unknown, ...args: unknown[]) {
      const work = () => apply(exact, this, args) as Promise<unknown>;
      return track(whereNow(), new Promise((resolve, reject) => enqueue(work, resolve, reject)));
    };
  }
}

function enqueue(
  work: () => Promise<unknown>,
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
): void {
  const over = (tell: (outcome: unknown) => void) => (outcome: unknown) => {
    tell(outcome);
    beginNext();
  };
  waiting[end++] = () => void apply(then, work(), [over(resolve), over(reject)]);
  if (!isBusy) beginNext();
}

function beginNext(): void {
  isBusy = first < end;
  if (!isBusy) return;
  const begin = waiting[first]!;
  delete waiting[first++];
  begin();
}
