/** The socket to Python: lines in, lines out, one write for all that a chunk brought about. */

const CHUNK_BYTES = 256 * 1024;
const LINE_LENGTH = 256 * 1024;

export interface Outbox {
  /** Queues the JSON text of one message; all that one turn queues is written as one line. */
  send(message: string): void;
  /** Resolves when all that was queued is written. */
  flush(): Promise<void>;
}

export function openOutbox(socket: Deno.UnixConn): Outbox {
  const encoder = new TextEncoder();
  let queue: string[] = [];
  let writing: Promise<void> | null = null;

  async function drain(): Promise<void> {
    await null; // The end of the turn.
    while (queue.length) await writeAll(socket, encoder.encode(`[${next().join(",")}]\n`));
    writing = null;
  }

  /** What goes into one line: Python holds no long one. */
  function next(): string[] {
    let count = 0;
    for (let length = 0; count < queue.length && length < LINE_LENGTH; count++) {
      length += queue[count]!.length;
    }
    return queue.splice(0, count);
  }

  return {
    send(message) {
      queue.push(message);
      writing ??= drain();
    },
    async flush() {
      await writing;
    },
  };
}

async function writeAll(socket: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await socket.write(bytes.subarray(written));
}

/** Gives each chunk's complete lines to `onLines` in turn; returns at the end of the stream. */
export async function readLines(
  socket: Deno.UnixConn,
  onLines: (lines: string[]) => Promise<void>,
): Promise<void> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(CHUNK_BYTES);
  let begun = "";
  for (;;) {
    const count = await socket.read(chunk);
    if (count === null) return;
    const lines = decoder.decode(chunk.subarray(0, count), { stream: true }).split("\n");
    lines[0] = begun + lines[0];
    begun = lines.pop()!;
    if (lines.length) await onLines(lines);
  }
}
