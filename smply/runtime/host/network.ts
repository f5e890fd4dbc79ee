/**
 * The network as machine code finds it. Deno's flags and the kernel decide what it may reach; this
 * says so in words, keeps it out of steps (Q62), and follows what actions begin.
 */

import { track } from "./effects.ts";
import { whereNow } from "./scope.ts";
import type { AnyFunction } from "./shapes.ts";

export type Policy = "none" | "public" | "hosts" | "all";

type Constructor = new (...args: unknown[]) => object;

/** Wraps `fetch`, `WebSocket` and `EventSource`, also where their prototypes lead to them. */
export function installNetwork(policy: Policy): void {
  const { fetch, Request } = globalThis;
  const ask = async (args: Parameters<typeof fetch>) => {
    requireNetwork("fetch", policy);
    const request = new Request(...args);
    requireAddress("fetch", policy, request.url);
    try {
      return await fetch(request);
    } catch (error) {
      throw inWords("fetch", error);
    }
  };
  globalThis.fetch = (...args) => {
    refuseInStep("fetch");
    return track(whereNow(), ask(args));
  };
  installConstructor("WebSocket", policy);
  installConstructor("EventSource", policy);
  trackBodies();
}

function installConstructor(name: "WebSocket" | "EventSource", policy: Policy): void {
  const exact = globalThis[name] as unknown as Constructor;
  const { construct } = Reflect;
  const watched = new Proxy(exact, {
    construct(_, [url, ...options], newTarget) {
      refuseInStep(name);
      requireNetwork(name, policy);
      const text = `${url}`;
      requireAddress(name, policy, text);
      try {
        return construct(exact, [text, ...options], newTarget);
      } catch (error) {
        throw inWords(name, error);
      }
    },
  });
  Object.defineProperty(exact.prototype, "constructor", { value: watched });
  Object.defineProperty(globalThis, name, { value: watched, configurable: true, writable: true });
}

/** Throws at once, so that what decides a step fails with it. */
function refuseInStep(name: string): void {
  if (whereNow()?.pure) {
    throw new Error(`${name} is for actions: guards, assigns and authorizers have no network`);
  }
}

function requireNetwork(name: string, policy: Policy): void {
  if (policy === "none") throw new TypeError(`${name}: machine code has no network here`);
}

/** IPv6 has more private ranges than a flag can name, so there is none but for `all`. */
function requireAddress(name: string, policy: Policy, url: string): void {
  if (policy === "all" || !URL.canParse(url)) return;
  const { hostname } = new URL(url);
  if (hostname.startsWith("[")) throw refused(name, hostname);
}

const NEEDS = /Requires net access to "([^"]*)"/;

/** What Deno refuses, or another error as it is. A name is refused by its address, in the cause. */
function inWords(name: string, error: unknown): unknown {
  try {
    const { message, cause } = error as Error;
    const found = NEEDS.exec(message) ?? NEEDS.exec((cause as Error | undefined)?.message ?? "");
    return found ? refused(name, found[1]!) : error;
  } catch {
    return error;
  }
}

function refused(name: string, address: string): TypeError {
  return new TypeError(`${name}: the network policy does not allow ${address}`);
}

function trackBodies(): void {
  const prototype = Response.prototype as unknown as Record<string, AnyFunction>;
  for (const name of ["arrayBuffer", "blob", "bytes", "formData", "json", "text"]) {
    const read = prototype[name]!;
    prototype[name] = function (this: Response, ...args: unknown[]) {
      return track(whereNow(), read.apply(this, args) as Promise<unknown>);
    };
  }
}
