// What somebody would write by hand instead: one machine as a Node service on SQLite.
//
//   node peer.js sqlite|group DATABASE
//
// Prints its port. `sqlite` commits every event by itself; `group` commits together all events that
// came in while it was at work. Both step from the stored text and keep a history; neither knows
// tokens, timers or effects.
import http from "node:http";
import Database from "better-sqlite3";
import { assign, createMachine, initialTransition, transition } from "xstate";

const machine = createMachine({
  id: "toggler",
  initial: "off",
  context: { public: { count: 0 }, owner: "bench" },
  states: {
    off: {
      on: {
        toggle: {
          target: "on",
          actions: assign({ public: ({ context }) => ({ count: context.public.count + 1 }) }),
        },
      },
    },
    on: { on: { toggle: "off" } },
  },
});
const allowed = ({ authContext }) => authContext.sub === "bench";

const [mode, path] = process.argv.slice(2);
const db = new Database(path);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.pragma("cache_size = -65536");
db.exec(`
  CREATE TABLE instances (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL);
  CREATE TABLE transitions (instance TEXT NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    event TEXT NOT NULL, auth TEXT NOT NULL, state TEXT NOT NULL);
  CREATE UNIQUE INDEX transitions_of ON transitions (instance, seq);
`);
const select = db.prepare("SELECT seq, state FROM instances WHERE name = ?");
const insert = db.prepare("INSERT INTO instances VALUES (?, 1, ?) ON CONFLICT DO NOTHING");
const update = db.prepare("UPDATE instances SET seq = seq + 1, state = ? WHERE name = ? AND seq = ?");
const append = db.prepare("INSERT INTO transitions VALUES (?, ?, ?, ?, ?, ?)");

function create(name) {
  const [state] = initialTransition(machine);
  insert.run(name, JSON.stringify(machine.getPersistedSnapshot(state)));
  return state;
}

function send(name, event, auth) {
  const row = select.get(name);
  const from = machine.resolveState(JSON.parse(row.state));
  if (!allowed({ authContext: JSON.parse(auth) })) throw new Error("refused");
  const [state] = transition(machine, from, event);
  const text = JSON.stringify(machine.getPersistedSnapshot(state));
  if (update.run(text, name, row.seq).changes !== 1) throw new Error("lost");
  append.run(name, row.seq + 1, Date.now(), JSON.stringify(event), auth, text);
  return state;
}

function shown(state) {
  return JSON.stringify({ ts: Date.now(), state: state.value, publicContext: state.context.public });
}

function work({ path, body, auth }) {
  const [, , , , name] = path.split("/");
  if (!name) return shown(create(JSON.parse(body).slug));
  return shown(send(name, { type: JSON.parse(body).event }, auth));
}

const one = db.transaction(work);
const all = db.transaction((requests) => requests.map(work));
let waiting = [];

function together() {
  const requests = waiting;
  waiting = [];
  const answers = all(requests);
  requests.forEach((request, at) => reply(request.response, answers[at]));
}

function reply(response, text) {
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

const server = http.createServer((message, response) => {
  const chunks = [];
  message.on("data", (chunk) => chunks.push(chunk));
  message.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    const request = { path: message.url, body, auth: message.headers["x-statebacked-act"], response };
    if (mode === "sqlite") return reply(response, one(request));
    if (!waiting.length) setImmediate(together);
    waiting.push(request);
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
