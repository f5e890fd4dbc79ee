/** Sizes and differences of JSON texts. */

const PATCH_FROM_LENGTH = 1000;
const WHOLE_EVERY = 64;
const PATCH_BYTES_MAX = 400_000;

const encoder = new TextEncoder();

/** Whether a text has more than so many bytes as UTF-8. */
export function isLarger(text: string, bytes: number): boolean {
  if (text.length * 3 <= bytes) return false;
  return text.length > bytes || encoder.encode(text).length > bytes;
}

/**
 * The RFC 7396 merge patch from one context to the next, or null where the whole context is to be
 * kept: it is small, its turn has come, or no patch gives the same text (nulls, order of keys).
 */
export function patchBetween(before: string, after: string, seq: number): string | null {
  if (after.length < PATCH_FROM_LENGTH || seq % WHOLE_EVERY === 0) return null;
  if (before === after) return "{}";
  const target = JSON.parse(before);
  const changes = difference(target, JSON.parse(after));
  const patch = JSON.stringify(changes);
  if (patch.length >= after.length || isLarger(patch, PATCH_BYTES_MAX)) return null;
  return JSON.stringify(applyPatch(target, changes)) === after ? patch : null;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonMap = { [key: string]: Json };

function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function difference(before: Json, after: Json): Json {
  if (!isMap(before) || !isMap(after)) return after;
  const patch: JsonMap = {};
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) patch[key] = null;
  }
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (old === undefined || !isMap(old) || !isMap(value)) {
      if (old === undefined || !isSame(old, value)) patch[key] = value;
      continue;
    }
    const inner = difference(old, value) as JsonMap;
    if (Object.keys(inner).length) patch[key] = inner;
  }
  return patch;
}

/** Whether two values have the same text: the order of keys counts. */
function isSame(one: Json, other: Json): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  const others = Object.keys(other);
  return keys.length === others.length &&
    keys.every((key, at) =>
      key === others[at] && isSame((one as JsonMap)[key]!, (other as JsonMap)[key]!)
    );
}

function applyPatch(target: Json, patch: Json): Json {
  if (!isMap(patch)) return patch;
  const result: JsonMap = isMap(target) ? target : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applyPatch(Object.hasOwn(result, key) ? result[key]! : null, value);
  }
  return result;
}
