/** The socket to Python: lines in, lines out, one write for all that a chunk brought about. */

const CHUNK_BYTES = 256 * 1024;

export interface Outbox {
  /** Queues the JSON text of one message; all that one turn queues is written as one line. */
  send(message: string): void;
}

export function openOutbox(socket: Deno.UnixConn): Outbox {
  const encoder = new TextEncoder();
  const atEndOfTurn = queueMicrotask;
  let queue: string[] = [];
  let writing = false;

  async function drain(): Promise<void> {
    while (queue.length) {
      const line = `[${queue.join(",")}]\n`;
      queue = [];
      await writeAll(socket, encoder.encode(line));
    }
    writing = false;
  }

  return {
    send(message) {
      queue.push(message);
      if (writing) return;
      writing = true;
      atEndOfTurn(drain);
    },
  };
}

async function writeAll(socket: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await socket.write(bytes.subarray(written));
}

/** Gives each chunk's complete lines to `onLines`; returns at the end of the stream. */
export async function readLines(
  socket: Deno.UnixConn,
  onLines: (lines: string[]) => void,
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
    if (lines.length) onLines(lines);
  }
}
