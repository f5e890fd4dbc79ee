/** The texts of instances by row id and seq: committed ones bounded, others kept until told. */

import type { Effect } from "./effects.ts";
import type { Texts } from "./protocol.ts";

/** A step whose outcome Python has not told yet. */
export interface Pending {
  seq: number;
  name: string;
  texts: Texts;
  effects: Effect[];
}

interface Committed {
  seq: number;
  texts: Texts;
  bytes: number;
}

const ENTRY_BYTES = 300;

export class Cache {
  /** In order of last use. */
  #committed = new Map<number, Committed>();
  #pending = new Map<number, Pending[]>();
  #bytes = 0;

  constructor(readonly bytesMax: number) {}

  /** The texts of an instance at that very seq, committed or not. */
  get(instance: number, seq: number): Texts | null {
    const pending = this.#pending.get(instance)?.find((step) => step.seq === seq);
    if (pending) return pending.texts;
    const found = this.#committed.get(instance);
    if (found?.seq !== seq) return null;
    this.#committed.delete(instance);
    this.#committed.set(instance, found);
    return found.texts;
  }

  put(instance: number, seq: number, texts: Texts): void {
    this.#forget(instance);
    const length = texts.value.length + texts.context.length + texts.rest.length;
    const bytes = 2 * length + ENTRY_BYTES;
    this.#committed.set(instance, { seq, texts, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#committed.keys()) {
      if (this.#bytes <= this.bytesMax || oldest === instance) break;
      this.#forget(oldest);
    }
  }

  /** Keeps an uncommitted step; it takes the place of others that stood on its base. */
  add(instance: number, step: Pending): void {
    const chain = this.#pending.get(instance);
    if (!chain) this.#pending.set(instance, [step]);
    else chain.splice(0, chain.length, ...chain.filter((old) => old.seq < step.seq), step);
  }

  /**
   * Takes out the steps up to `seq`, oldest first; the newest of them becomes the cached one. An
   * instance just created goes by the id `becomes` from now on.
   */
  commit(instance: number, seq: number, becomes: number | null): Pending[] {
    const chain = this.#pending.get(instance) ?? [];
    const done = chain.filter((step) => step.seq <= seq);
    const id = becomes ?? instance;
    this.#keep(instance, chain.filter((step) => step.seq > seq));
    if (becomes !== null) this.#rename(instance, becomes);
    const newest = done.at(-1);
    const isNewer = (this.#committed.get(id)?.seq ?? 0) < seq;
    if (newest?.seq === seq && isNewer) this.put(id, seq, newest.texts);
    return done;
  }

  /** Another caller may have stepped the row already, from the store: those steps stay. */
  #rename(instance: number, becomes: number): void {
    const chain = [...this.#pending.get(instance) ?? [], ...this.#pending.get(becomes) ?? []];
    this.#keep(instance, []);
    this.#keep(becomes, chain);
  }

  /** Forgets `seq` and all that stands on it. */
  drop(instance: number, seq: number): void {
    this.#keep(instance, (this.#pending.get(instance) ?? []).filter((step) => step.seq < seq));
    if ((this.#committed.get(instance)?.seq ?? 0) >= seq) this.#forget(instance);
  }

  #keep(instance: number, chain: Pending[]): void {
    if (chain.length) this.#pending.set(instance, chain);
    else this.#pending.delete(instance);
  }

  #forget(instance: number): void {
    const found = this.#committed.get(instance);
    if (!found) return;
    this.#committed.delete(instance);
    this.#bytes -= found.bytes;
  }
}
