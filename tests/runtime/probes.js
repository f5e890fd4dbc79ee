/**
 * Ways out of a sandbox, by name. Each answers whether it got where it wants to, or throws.
 * `at` tells where that is: ports, paths, names of modules, addresses.
 */
export function probesOf(at) {
  // The check refuses an `import(…)` that it sees.
  const load = new Function("url", "options", "return import(url, options)");
  const run = (code) => new Function(code)();
  const dataUrl = (code) => `data:text/javascript,${encodeURIComponent(code)}`;
  const blobUrl = (code) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const says = (error, text) => `${error}`.includes(text);
  const has = async (found, text) => `${await found}`.includes(text);
  const textOf = (url, options) => fetch(url, options).then((response) => response.text());
  const opened = (source) =>
    new Promise((resolve, reject) => {
      source.onopen = () => (source.close(), resolve(true));
      source.onerror = reject;
    });
  const called = (start) =>
    new Promise((resolve, reject) => {
      const name = `called${Math.random()}`;
      globalThis[name] = { resolve, reject };
      const call = `globalThis[${JSON.stringify(name)}]`;
      start(`import("node:fs").then(${call}.resolve, ${call}.reject)`);
    });
  const file = `file://${at.secret}`;
  const probes = {};

  // Modules of Node, by every name, loaded in every way.
  const loads = {
    "import()": (name) => load(name),
    "a data: module": (name) => load(dataUrl(`import * as m from "${name}"`)),
    "a blob: module": (name) => load(blobUrl(`export * from "${name}"`)),
    "a deferred import": (name) => load(dataUrl(`import defer * as m from "${name}"; m.default`)),
    "import() in a data: module": (name) =>
      load(dataUrl(`await import("${name}")`)),
  };
  for (const name of at.builtins) {
    for (const [way, importFrom] of Object.entries(loads)) {
      probes[`${name} by ${way}`] = () => importFrom(name).then(() => true);
    }
  }
  // Deno 2.9.8 gives modules of its own to whoever imports them in a module, dynamic or not.
  for (const name of at.internals) {
    for (const way of ["a data: module", "a blob: module"]) {
      probes[`${name} by ${way}`] = () => loads[way](name).then(() => true);
    }
  }
  Object.assign(probes, {
    " node:fs": () => load(" node:fs").then(() => true),
    "no\\tde:fs": () => load("no\tde:fs").then(() => true),
    "node: by import.defer()": () =>
      load(dataUrl('(await import.defer("node:url")).default')).then(() => true),
    "node: by indirect eval": () => (0, eval)('import("node:fs")').then(() => true),
    "node: by require": () => load("node:module").then((m) => !!m.createRequire(file)("fs")),
    "node: by process": () => !!process.getBuiltinModule("node:fs"),
    // Whoever calls `eval` lends its own name to the import.
    "node: by a timer's eval": () => called((code) => setTimeout(eval, 0, code)).then(() => true),
    "node: by an interval's eval": () =>
      called((code) => {
        const timer = setInterval((text) => (clearInterval(timer), eval(text)), 1, code);
      }).then(() => true),
    "node: by a stream's eval": () =>
      called((code) => new WritableStream({ write: eval }).getWriter().write(code))
        .then(() => true),
    "node: by a promise's eval": () =>
      called((code) => Promise.resolve(code).then(eval)).then(() => true),
    "node: by Function": () =>
      called((code) => new (async () => {}).constructor(code)()).then(() => true),
    "node: by a module of WebAssembly": () =>
      load("data:application/wasm;base64,AGFzbQEAAAACEAEHbm9kZTpvcwNFT0wDbwA=")
        .then(() => true),
  });

  // What was taken away, by every road that may lead to it.
  const globals = [
    "Deno", "Worker", "Buffer", "localStorage", "sessionStorage", "caches", "CacheStorage",
    "Cache", "Storage", "BroadcastChannel", "SharedArrayBuffer", "setImmediate", "global",
    "PerformanceMark", "PerformanceObserver", "GPU", "OffscreenCanvas", "alert", "close",
  ];
  for (const name of globals) {
    probes[`global ${name}`] = () => !!globalThis[name];
    probes[`descriptor of ${name}`] = () =>
      !!Object.getOwnPropertyDescriptor(globalThis, name);
    probes[`${name} by Function`] = () => !!run(`return ${name}`);
    probes[`${name} in a data: module`] = () =>
      load(dataUrl(`export default ${name}`)).then((m) => !!m.default);
  }
  Object.assign(probes, {
    "process.exit": () => typeof process.exit === "function",
    "process by constructor": () =>
      typeof process.env.constructor.constructor("return process")().kill === "function",
    "a realm of node:vm": () =>
      load("node:vm").then((vm) => vm.runInNewContext("1 + 1") === 2),
    "navigator.gpu": () => "gpu" in navigator,
    "a global that leads to the inside": () => reaches(isInside),
  });

  /** Signs of Deno, Node, a loader, a connection: nothing on the web has any of these. */
  function isInside(value) {
    const signs = [
      "readTextFileSync", "getBuiltinModule", "dlopen", "ops", "createRequire", "UnixConn",
      "isMainThread", "reallyExit", "readFileSync",
    ];
    return signs.some((name) => Object.hasOwn(value, name));
  }

  function reaches(isIt) {
    const seen = new Set();
    const queue = seeds();
    while (queue.length) {
      const value = queue.pop();
      const kind = typeof value;
      if ((kind !== "object" && kind !== "function") || value === null || seen.has(value)) continue;
      seen.add(value);
      if (isIt(value)) return true;
      queue.push(Object.getPrototypeOf(value));
      for (const key of Reflect.ownKeys(value)) {
        const { value: own, get, set } = Object.getOwnPropertyDescriptor(value, key);
        queue.push(own, get, set);
        if (get) queue.push(attempt(() => get.call(value)), attempt(() => value[key]));
      }
    }
    return false;
  }

  function attempt(make) {
    try {
      const made = make();
      if (made instanceof Promise) made.catch(() => {});
      return made;
    } catch (error) {
      return error;
    }
  }

  /** The global scope, things that the platform makes, and whatever stacks and inspection show. */
  function seeds() {
    const found = [globalThis, import.meta];
    const make = [
      () => new Request("http://localhost/"), () => new Response("x"), () => new Response("x").body,
      () => setTimeout(() => {}, 1), () => setInterval(() => {}, 1e9), () => new MessageChannel(),
      () => new AbortController(), () => AbortSignal.timeout(1), () => new Event("x"),
      () => new Blob(["x"]).stream(), () => new TextDecoderStream(), () => new Headers(),
      () => new CompressionStream("gzip"), () => new FormData(), () => new URLPattern(),
      () => crypto.subtle, () => navigator.locks, () => new WebSocket("ws://192.0.2.1/"),
      () => new EventSource("http://192.0.2.1/"), () => new Intl.DateTimeFormat(),
      () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer,
      () => (async () => {}).constructor, () => (function* () {}).constructor,
      () => (async function* () {}).constructor, () => [][Symbol.iterator](),
    ];
    for (const each of make) {
      const made = attempt(each);
      attempt(() => clearInterval(made));
      attempt(() => made.close());
      found.push(made);
    }
    const prepare = Error.prepareStackTrace;
    Error.prepareStackTrace = (_, sites) => {
      for (const site of sites) {
        for (const name of ["getThis", "getFunction", "getEvalOrigin"]) {
          found.push(attempt(() => site[name]()));
        }
        found.push(site);
      }
      return "";
    };
    const look = (...given) => (found.push(...given, new Error().stack), "looked at");
    attempt(() => JSON.stringify({ toJSON: look }));
    attempt(() => new Request("http://localhost/", { get method() { return look(); } }));
    attempt(() => structuredClone({ get x() { return look(); } }));
    const target = new EventTarget();
    target.addEventListener("x", look);
    target.dispatchEvent(new Event("x"));
    for (const name of ["Deno.customInspect", "nodejs.util.inspect.custom"]) {
      attempt(() => console.debug({ [Symbol.for(name)]: look }));
    }
    Error.prepareStackTrace = prepare;
    return found;
  }

  // Files.
  const types = ["text", "json", "bytes"];
  for (const type of types) {
    const options = { with: { type } };
    const statement = `import x from "${file}" with { type: "${type}" }; export default x`;
    probes[`a file imported as ${type}`] = () => load(file, options).then((m) => !!m.default);
    probes[`a file as ${type} in a data: module`] = () =>
      load(dataUrl(statement)).then((m) => !!m.default);
    probes[`a file as ${type} in a blob: module`] = () =>
      load(blobUrl(statement)).then((m) => !!m.default);
  }
  Object.assign(probes, {
    "a file by its path": () => load(at.secret, { with: { type: "json" } }).then((m) => !!m.default),
    "a file by fetch": () => has(textOf(file), "secret"),
    "a file by a Request": () => has(textOf(new Request(file)), "secret"),
    "a script by import()": () => load(file.replace(".json", ".js")).then((m) => m.default === 1),
    "a file by Deno": () => has(Deno.readTextFileSync(at.secret), "secret"),
    "a file by Node": () =>
      load("node:fs").then((fs) => has(fs.readFileSync(at.secret), "secret")),
    "the directory": () => [...Deno.readDirSync(at.directory)].length > 0,
    "writing a file": () => (Deno.writeTextFileSync(`${at.directory}/written`, "x"), true),
  });

  // Other processes, the environment, and what outlives this one.
  Object.assign(probes, {
    "a subprocess by Deno": () => new Deno.Command("true").outputSync().success,
    "a subprocess by Node": () =>
      load("node:child_process").then((m) => m.spawnSync("true").status === 0),
    "a worker": () =>
      new Promise((resolve) => {
        const worker = new Worker(dataUrl("postMessage(typeof Deno)"), { type: "module" });
        worker.onmessage = () => (worker.terminate(), resolve(true));
      }),
    "foreign functions": () => {
      const symbols = { abs: { parameters: ["i32"], result: "i32" } };
      return Deno.dlopen(at.library, symbols).symbols.abs(-1) === 1;
    },
    "the environment by Deno": () => !!Deno.env.get("PATH"),
    "the environment by Node": () => !!process.env.PATH,
    "the arguments": () => Array.isArray(Deno.args),
    "signals": () => (Deno.kill(Deno.pid, "SIGCONT"), true),
    "memory of the process": () => Deno.memoryUsage().rss > 0,
    localStorage: () => (localStorage.setItem("x", "1"), localStorage.getItem("x") === "1"),
    "a cache": () =>
      caches.open("x").then((cache) => cache.put("http://x.example/", new Response("x")))
        .then(() => true),
    "a database": () => load("node:sqlite").then((m) => !!new m.DatabaseSync(":memory:")),
    "Deno.openKv": () => Deno.openKv(":memory:").then((kv) => (kv.close(), true)),
    "a remote module": () =>
      load(`http://127.0.0.1:${at.port}/module.js`).then((m) => m.default === 1),
  });

  // Addresses that are this very machine, however they are spelled.
  for (const host of at.hosts) {
    const authority = `${host}:${at.port}`;
    probes[`fetch ${host}`] = () => has(textOf(`http://${authority}/`), "hello");
    probes[`WebSocket ${host}`] = () => opened(new WebSocket(`ws://${authority}/`));
    probes[`EventSource ${host}`] = () => opened(new EventSource(`http://${authority}/events`));
  }
  const here = `http://127.0.0.1:${at.port}`;
  Object.assign(probes, {
    "WebSocket's class by its prototype": () =>
      opened(new WebSocket.prototype.constructor(`ws://[::1]:${at.port}/`)),
    "EventSource's class by its prototype": () =>
      opened(new EventSource.prototype.constructor(`http://[::1]:${at.port}/events`)),
    "a WebSocket that changes its address": () => {
      let asked = 0;
      // Nobody answers at the first, and it says so at once.
      const url = { toString: () => asked++ ? `ws://[::1]:${at.port}/` : "ws://127.0.0.1:1/" };
      return opened(new WebSocket(url)).catch(() => asked === 1 && opened(new WebSocket(url)));
    },
    "a redirect": () => has(textOf(`${here}/to/${encodeURIComponent(`${here}/`)}`), "hello"),
    "WebAssembly from an address": () =>
      WebAssembly.compileStreaming(fetch(here)).then(
        () => true,
        (error) => says(error, "content type"),
      ),
    "a Unix socket by Deno": () =>
      Deno.connect({ transport: "unix", path: at.socket }).then((it) => (it.close(), true)),
    "a Unix socket by a client of fetch": () => {
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path: at.socket } });
      return has(textOf("http://x.example/", { client }), "hello");
    },
    "a Unix socket by Node": () =>
      load("node:net").then((net) => opened2(net.createConnection(at.socket))),
    "a TCP socket by Deno": () =>
      Deno.connect({ hostname: "127.0.0.1", port: at.port }).then((it) => (it.close(), true)),
    "listening": () => (Deno.listen({ port: 0 }).close(), true),
  });
  const opened2 = (socket) =>
    new Promise((resolve, reject) => {
      socket.on("connect", () => (socket.destroy(), resolve(true)));
      socket.on("error", reject);
    });

  // Clocks that are finer than a millisecond (S20).
  const clocks = {
    "performance.now": () => performance.now(),
    "performance.now of the prototype": () => Performance.prototype.now.call(performance),
    "performance.timeOrigin": () => performance.timeOrigin,
    "performance.toJSON": () => performance.toJSON().timeOrigin,
    "performance.mark": () => performance.mark("x").startTime,
    "performance.measure": () => performance.measure("x").duration,
    "PerformanceMark": () => new PerformanceMark("x").startTime,
    "process.hrtime": () => process.hrtime()[1] / 1e6,
    "a timer's start": () => performance.now() + setTimeout(() => {})._idleStart,
  };
  for (const name of ["instant", "zonedDateTimeISO", "plainDateTimeISO", "plainTimeISO"]) {
    clocks[`Temporal.Now.${name}`] = () =>
      Number(/\.\d{3}(\d*)/.exec(Temporal.Now[name]())?.[1] ?? 0) / 10;
  }
  for (const [name, read] of Object.entries(clocks)) {
    probes[`${name} is fine`] = () =>
      Array.from({ length: 20 }, read).some((time) => !Number.isInteger(time) && time > 0);
  }
  return probes;
}

/** What became of each: true where it got there, else what it threw or gave. */
export async function attemptAll(probes) {
  const attempt = async (name) => {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve("nothing"), 5_000);
    });
    try {
      const found = await Promise.race([probes[name](), late]);
      return [name, found === true || `gave ${found}`];
    } catch (error) {
      return [name, `threw ${error?.message ?? error}`.slice(0, 200)];
    } finally {
      clearTimeout(timer);
    }
  };
  return Object.fromEntries(await Promise.all(Object.keys(probes).map(attempt)));
}
