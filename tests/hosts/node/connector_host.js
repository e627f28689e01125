// The smallest host in JavaScript that can run a connector: npm `jco-transpile`, its shim of WASI, and the
// WIT contract; no runner. Node.js 20 or later.
//
//     npm ci && node connector_host.js COMPONENT CONFIG.json [--code CODE] [--max-changes N] [--webhook N]
//
// Describes, authorizes, checks, discovers and reads every table until it is caught up, with a new instance
// for every call, so that only configuration, session, cursor and subscription are kept. With `--webhook`,
// subscribes a listener on loopback, receives until N changes have come, and unsubscribes. Prints one JSON
// object per line: {"describe"}, {"check"}, {"table", "primary_key"}, {"row": {"table", "key", "after"}},
// {"read": {"table", "rows"}}, {"change": {"table", "operation", "key", "after"}}.

import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

import { transpile } from "@bytecodealliance/jco-transpile";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";

// The component does I/O while a call runs, which blocks this thread: deliveries have a thread of their own.
const LISTENER = `
  const { createServer } = require("node:http");
  const { parentPort } = require("node:worker_threads");
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url: pathWithQuery, rawHeaders } = request;
    const headers = [];
    for (let at = 0; at < rawHeaders.length; at += 2) headers.push([rawHeaders[at], rawHeaders[at + 1]]);
    const received = Date.now();
    parentPort.postMessage({ received, method, pathWithQuery, headers, body: Buffer.concat(chunks) });
    response.end();
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage({ port: server.address().port }));
`;

/** Compiles a component once; `instance()` gives its exports in a new instance. */
class Connector {
  static async load(path) {
    const folder = await mkdtemp(join(tmpdir(), "connector-"));
    try {
      const { files } = await transpile(path, { name: "connector", instantiation: "async", outDir: folder });
      for (const [file, bytes] of Object.entries(files)) {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, bytes);
      }
      await writeFile(join(folder, "package.json"), '{"type": "module"}');
      const { instantiate } = await import(pathToFileURL(join(folder, "connector.js")));
      const modules = new Map();
      for (const file of Object.keys(files).filter((file) => file.endsWith(".wasm"))) {
        modules.set(file.slice(folder.length + 1), await WebAssembly.compile(await readFile(file)));
      }
      return new Connector(instantiate, modules);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  constructor(instantiate, modules) {
    this.instantiate = instantiate;
    this.modules = modules;
  }

  instance() {
    return this.instantiate((name) => this.modules.get(name), new WASIShim().getImportObject());
  }
}

/** Batches in a row that may leave the cursor where it is, as in the runner. */
const STUCK_BATCHES_MAX = 5;

/** Keeps the state of a host: configuration and session. */
class Host {
  constructor(connector, config) {
    this.connector = connector;
    this.config = config;
    this.session = undefined;
  }

  async describe() {
    const { metadata } = await this.connector.instance();
    return JSON.parse(metadata.describe());
  }

  /** Opens a connection in a new instance, makes one call, keeps the session. */
  async run(call) {
    const { source, webhook } = await this.connector.instance();
    const connection = source.Connection.open(this.config, this.session);
    try {
      return call(connection, webhook);
    } finally {
      this.session = connection.session() ?? this.session;
    }
  }

  /** Yields every change of `table` until it is caught up. */
  async *read(table, maxChanges) {
    let cursor;
    let stuck = 0;
    for (;;) {
      const limits = { maxChanges, maxBytes: 8 << 20, maxMs: 30_000 };
      const batch = await this.run((connection) => connection.read(table, cursor, limits));
      yield* batch.changes;
      if (batch.caughtUp) return;
      stuck = batch.waitMs === undefined && cursor === batch.cursor ? stuck + 1 : 0;
      if (stuck > STUCK_BATCHES_MAX) {
        throw new Error(`table ${table}: the cursor does not move`);
      }
      await sleep(Number(batch.waitMs ?? 0));
      cursor = batch.cursor;
    }
  }

  /** Subscribes, yields the changes of deliveries; unsubscribes when the caller has enough. */
  async *changes(tables) {
    const listener = new Worker(LISTENER, { eval: true });
    const messages = queue(listener);
    const { port } = await messages();
    const url = `http://127.0.0.1:${port}/webhook`;
    const subscription = await this.run((connection, webhook) =>
      webhook.subscribe(connection, url, tables, undefined),
    );
    try {
      for (;;) {
        const { received, method, pathWithQuery, headers, body } = await messages();
        const encoder = new TextEncoder();
        const encoded = headers.map(([name, value]) => [name, encoder.encode(value)]);
        const delivery = { receivedAtMs: BigInt(received), method, pathWithQuery, headers: encoded, body };
        const [result] = await this.run((connection, webhook) =>
          webhook.receive(connection, subscription, [delivery]),
        );
        if (result.tag === "err") throw new Error(text(result.val));
        yield* result.val.changes;
      }
    } finally {
      await this.run((connection, webhook) => webhook.unsubscribe(connection, subscription));
      await listener.terminate();
    }
  }
}

/** The messages of a worker as a function that waits for the next one. */
function queue(worker) {
  const arrived = [];
  const waiting = [];
  worker.on("message", (message) => (waiting.shift() ?? ((one) => arrived.push(one)))(message));
  return () => (arrived.length ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)));
}

/** The contract's `error` as a line for a person. */
function text({ kind, message, hint }) {
  return `${message} (kind ${kind}, hint: ${hint})`;
}

function emit(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      code: { type: "string" },
      "max-changes": { type: "string", default: "1000" },
      webhook: { type: "string", default: "0" },
    },
  });
  const [component, configFile] = positionals;
  const host = new Host(await Connector.load(component), await readFile(configFile, "utf8"));
  const { name, version } = await host.describe();
  emit({ describe: { name, version } });
  if (values.code) {
    const grant = JSON.stringify({ code: values.code });
    await host.run((connection) => connection.authorize(grant));
  }
  const items = await host.run((connection) => connection.check());
  emit({ check: items.map(({ name, outcome, message }) => ({ name, outcome, message })) });
  const tables = await host.run((connection) => connection.discover());
  for (const table of tables) {
    emit({ table: table.name, primary_key: table.primaryKey });
    let rows = 0;
    for await (const change of host.read(table.name, Number(values["max-changes"]))) {
      rows += 1;
      const { key, after } = change;
      emit({ row: { table: change.table, key: JSON.parse(key), after: JSON.parse(after) } });
    }
    emit({ read: { table: table.name, rows } });
  }
  let wanted = Number(values.webhook);
  if (wanted === 0) return;
  for await (const { table, operation, key, after } of host.changes(tables.map(({ name }) => name))) {
    const row = after === undefined ? null : JSON.parse(after);
    emit({ change: { table, operation, key: JSON.parse(key), after: row } });
    wanted -= 1;
    if (wanted === 0) break;
  }
}

try {
  await main();
} catch (error) {
  // A failed call throws the contract's `error`, or an `Error` that holds it.
  const failure = error.payload ?? error;
  console.error(`error: ${failure.kind ? text(failure) : failure.stack}`);
  process.exitCode = 1;
}
