/**
 * JSON texts as they are sent and stored. What is cached here must be what the store keeps, so a
 * text is made well-formed at once: Python refuses half of a surrogate pair, and Unicode knows none.
 */

/** How deep a context or an event may nest; what reads them all can go deeper than that. */
export const DEPTH_MAX = 500;

const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [..."{}[]"].map((c) =>
  c.charCodeAt(0)
);

/** As `JSON.stringify`, with U+FFFD for each lone surrogate; undefined for what JSON cannot say. */
export function toJson(value: unknown): string | undefined {
  const text = JSON.stringify(value) as string | undefined;
  return text !== undefined && text.includes("\\ud") ? withoutSurrogates(text) : text;
}

/** Escaped backslashes are matched as well, so that `\\ud83d` in a text is left as it is. */
function withoutSurrogates(text: string): string {
  return text.replace(/\\(?:u(d[89a-f]..)|.)/g, (escape, lone) => lone ? "\ufffd" : escape);
}

/**
 * The JSON of plain data that the host made itself. It asks nothing for a `toJSON`, which machine
 * code may have given to every object and array there is.
 */
export function plainText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.toWellFormed());
  if (Array.isArray(value)) return `[${value.map(plainText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.map(([key, item]) => `${plainText(key)}:${plainText(item)}`).join(",")}}`;
}

/** Whether a JSON text nests deeper than so many levels; only one of some length can. */
export function isDeeper(text: string, levels = DEPTH_MAX): boolean {
  if (text.length <= 2 * levels) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    else if ((code === OPEN_BRACE || code === OPEN_BRACKET) && ++depth > levels) return true;
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let end = start;
  do end = text.indexOf('"', end + 1); while (isEscaped(text, end));
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

/** What V8 throws where recursion ends, in machine code or in its own `JSON.stringify`. */
export function isOverflow(error: unknown): boolean {
  try {
    return error instanceof RangeError && error.message.includes("call stack");
  } catch {
    return false;
  }
}
