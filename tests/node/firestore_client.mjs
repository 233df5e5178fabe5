// Everyday operations of Google's own Firestore client (@google-cloud/firestore) on the server that FIRESTORE_EMULATOR_HOST
// names.
//
//     npm ci --ignore-scripts && FIRESTORE_EMULATOR_HOST=127.0.0.1:PORT node firestore_client.mjs [OPERATION...]
//
// Prints the client's version and one line for each operation; ends with an error at the first that fails. Google's emulator
// passes them all too, but it locks what a transaction reads: there the rivals of transactionsLoseNoIncrement can starve.

import assert from "node:assert/strict";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import net from "node:net";

import { FieldPath, FieldValue, Filter, Firestore, Timestamp } from "@google-cloud/firestore";

const HOST = "FIRESTORE_EMULATOR_HOST";
// Otherwise the client asks whether it runs on Google Cloud, and warns that nobody answers.
process.env.METADATA_SERVER_DETECTION = "none";

const WRITERS = 8;
const INCREMENTS_PER_WRITER = 5;
// Losers of a transaction back off and try again; the client's own limit of 5 attempts is too few for so many rivals.
const ATTEMPTS = 50;
// For what a listener must be told, with the client's own waiting before it connects again.
const PATIENCE_MS = 30_000;

// Of the codes of gRPC.
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;

const ids = (documents) => documents.map((document) => document.id);
const found = async (query) => ids((await query.get()).docs);
const refused = (promise, code) => assert.rejects(promise, (error) => error.code === code);

async function create(things) {
  const document = { n: 1, nested: { x: [1, "two", null] }, bytes: Buffer.from([0]), double: 0.5 };
  await things.doc("a").create(document);
  await refused(things.doc("a").create({ n: 2 }), ALREADY_EXISTS);
  assert.deepEqual((await things.doc("a").get()).data(), document);
}

async function get(things) {
  await things.doc("a").set({ n: 1, m: 2 });
  const snapshot = await things.doc("a").get();
  assert.ok(snapshot.exists && snapshot.createTime.isEqual(snapshot.updateTime));
  assert.equal((await things.doc("absent").get()).exists, false);
  const both = await things.firestore.getAll(things.doc("a"), things.doc("absent"), { fieldMask: ["n"] });
  assert.deepEqual(both.map((snapshot) => snapshot.data()), [{ n: 1 }, undefined]);
}

async function setAndMerge(things) {
  const thing = things.doc("a");
  await thing.set({ n: 1, nested: { x: 1, y: 2 } });
  await thing.set({ nested: { x: 5 } }, { merge: true });
  assert.deepEqual((await thing.get()).data(), { n: 1, nested: { x: 5, y: 2 } });
  await thing.set({ n: 2 });
  assert.deepEqual((await thing.get()).data(), { n: 2 });
}

async function update(things) {
  const thing = things.doc("a");
  await refused(thing.update({ n: 1 }), NOT_FOUND);
  await thing.set({ n: 1, nested: { x: 1, "a.b": 2 }, gone: true });
  await thing.update("nested.x", 5, new FieldPath("nested", "a.b"), 6, "gone", FieldValue.delete(), "more", "text");
  assert.deepEqual((await thing.get()).data(), { n: 1, nested: { x: 5, "a.b": 6 }, more: "text" });
}

async function updateWithAPrecondition(things) {
  const thing = things.doc("a");
  const first = (await thing.set({ n: 1 })).writeTime;
  const second = (await thing.update({ n: 2 }, { lastUpdateTime: first })).writeTime;
  await refused(thing.update({ n: 3 }, { lastUpdateTime: first }), FAILED_PRECONDITION);
  await refused(thing.delete({ lastUpdateTime: first }), FAILED_PRECONDITION);
  const snapshot = await thing.get();
  assert.deepEqual(snapshot.data(), { n: 2 });
  assert.ok(snapshot.updateTime.isEqual(second));
  await thing.delete({ lastUpdateTime: second });
  await refused(thing.delete({ exists: true }), NOT_FOUND);
}

async function transforms(things) {
  const thing = things.doc("a");
  await thing.set({ n: 1, list: [1, 2], at: FieldValue.serverTimestamp() });
  await thing.update({ n: FieldValue.increment(4), list: FieldValue.arrayUnion(2, 3) });
  await thing.update({ list: FieldValue.arrayRemove(1) });
  const { at, ...others } = (await thing.get()).data();
  assert.deepEqual(others, { n: 5, list: [2, 3] });
  assert.ok(at instanceof Timestamp);
}

async function batch(things) {
  await things.doc("a").set({ n: 1 });
  const writes = things.firestore.batch();
  writes.set(things.doc("b"), { n: 2 }).update(things.doc("a"), { n: 5 }).delete(things.doc("absent"));
  assert.equal((await writes.commit()).length, 3);
  const spoiled = things.firestore.batch();
  spoiled.set(things.doc("c"), {}).update(things.doc("absent"), { n: 1 });
  await refused(spoiled.commit(), NOT_FOUND);
  assert.deepEqual((await things.get()).docs.map((document) => document.data()), [{ n: 5 }, { n: 2 }]);
}

async function bulkWriter(things) {
  const writer = things.firestore.bulkWriter();
  writer.onWriteError(() => false);
  const created = Array.from({ length: 60 }, (_, n) => writer.create(things.doc(String(n)), { n }));
  await writer.flush();
  await Promise.all(created);
  const again = refused(writer.create(things.doc("0"), { n: -1 }), ALREADY_EXISTS);
  const deleted = writer.delete(things.doc("59"));
  await writer.close();
  await Promise.all([again, deleted]);
  assert.equal((await things.get()).size, 59);
  assert.deepEqual((await things.doc("0").get()).data(), { n: 0 });
}

async function transactionsLoseNoIncrement(things) {
  const thing = things.doc("counter");
  await thing.set({ n: 0 });
  const increment = async (transaction) => {
    const n = (await transaction.get(thing)).get("n");
    transaction.update(thing, { n: n + 1 });
  };
  const work = async () => {
    for (let n = 0; n < INCREMENTS_PER_WRITER; n++) {
      await things.firestore.runTransaction(increment, { maxAttempts: ATTEMPTS });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, work));
  assert.equal((await thing.get()).get("n"), WRITERS * INCREMENTS_PER_WRITER);
}

async function aReadOnlyTransaction(things) {
  await things.doc("a").set({ n: 1 });
  const read = async (transaction) => {
    const before = (await transaction.get(things.doc("a"))).get("n");
    await things.doc("a").set({ n: 2 });
    return [before, (await transaction.get(things.doc("a"))).get("n")];
  };
  assert.deepEqual(await things.firestore.runTransaction(read, { readOnly: true }), [1, 1]);
}

async function queries(things) {
  for (const [n, [name, colour]] of [["a", "red"], ["b", "blue"], ["c", "red"], ["d", "green"]].entries()) {
    await things.doc(name).set({ n, colour, tags: [colour, n], nested: { x: n } });
  }
  assert.deepEqual(await found(things.where("colour", "==", "red")), ["a", "c"]);
  assert.deepEqual(await found(things.where("n", ">", 0).where("n", "<=", 2)), ["b", "c"]);
  assert.deepEqual(await found(things.where("n", "!=", 1)), ["a", "c", "d"]);
  assert.deepEqual(await found(things.where("colour", "in", ["blue", "green"])), ["b", "d"]);
  assert.deepEqual(await found(things.where("colour", "not-in", ["blue", "green"])), ["a", "c"]);
  assert.deepEqual(await found(things.where("tags", "array-contains", "red")), ["a", "c"]);
  assert.deepEqual(await found(things.where("tags", "array-contains-any", [1, 3])), ["b", "d"]);
  assert.deepEqual(await found(things.where("nested.x", "==", 2)), ["c"]);
  const either = Filter.or(Filter.where("colour", "==", "blue"), Filter.where("n", "==", 3));
  assert.deepEqual((await found(things.where(either))).sort(), ["b", "d"]);
  const projected = await things.where("n", "==", 1).select("nested.x").get();
  assert.deepEqual(projected.docs[0].data(), { nested: { x: 1 } });
}

async function orderLimitAndCursors(things) {
  for (const [name, n] of [["a", 2], ["b", 1], ["c", 2], ["d", 3]]) {
    await things.doc(name).set({ n });
  }
  const byNumber = things.orderBy("n");
  const a = await things.doc("a").get();
  assert.deepEqual(await found(byNumber), ["b", "a", "c", "d"]);
  assert.deepEqual(await found(things.orderBy("n", "desc")), ["d", "c", "a", "b"]);
  assert.deepEqual(await found(byNumber.limit(2)), ["b", "a"]);
  assert.deepEqual(await found(byNumber.limitToLast(2)), ["c", "d"]);
  assert.deepEqual(await found(byNumber.offset(1).limit(2)), ["a", "c"]);
  assert.deepEqual(await found(byNumber.startAt(2).endBefore(3)), ["a", "c"]);
  assert.deepEqual(await found(byNumber.startAfter(a)), ["c", "d"]);
  assert.deepEqual(await found(byNumber.endAt(a)), ["b", "a"]);
}

async function aggregations(things) {
  for (let n = 0; n < 5; n++) await things.doc(String(n)).set({ n });
  assert.equal((await things.where("n", ">", 1).count().get()).data().count, 3);
}

async function collectionsBelow(things) {
  await things.doc("a/parts/p").set({ n: 1 });
  await things.doc("b/parts/q").set({ n: 2 });
  assert.deepEqual(await found(things.doc("a").collection("parts")), ["p"]);
  assert.deepEqual(ids(await things.listDocuments()), ["a", "b"]);
}

/** Passes connections on to the server until it is cut; then it refuses them until it is restored. */
class Proxy {
  #connections = new Set();
  #down = false;

  static async to(server) {
    const proxy = new Proxy();
    const [host, port] = server.split(":");
    const listener = net.createServer((client) => proxy.#pass(client, net.connect(Number(port), host)));
    listener.listen(0, "127.0.0.1").unref();
    await once(listener, "listening");
    proxy.address = `127.0.0.1:${listener.address().port}`;
    return proxy;
  }

  cut() {
    this.#down = true;
    assert.ok(this.#connections.size > 0);
    for (const connection of this.#connections) connection.destroy();
  }

  restore() {
    this.#down = false;
  }

  #pass(client, server) {
    for (const [end, other] of [[client, server], [server, client]]) {
      this.#connections.add(end);
      end.on("error", () => other.destroy());
      end.on("close", () => {
        this.#connections.delete(end);
        other.destroy();
      });
      if (this.#down) end.destroy();
      else end.pipe(other);
    }
  }
}

/** Collects what a listener is told. */
class Watcher {
  #documents;
  #changes = [];
  #told = () => {};

  /** What to call with each snapshot; for a single document without changes, as the client tells none. */
  tell = (documents, changes) => {
    this.#documents = documents;
    this.#changes.push(...changes);
    this.#told();
  };

  fail = (error) => {
    this.#told = () => {};
    throw error;
  };

  /** Waits until the listener shows these documents; returns the changes since the last call. */
  async shows(expected) {
    const equal = () => {
      try {
        assert.deepEqual(this.#documents, expected);
        return true;
      } catch {
        return false;
      }
    };
    await new Promise((resolve, reject) => {
      const patience = setTimeout(() => reject(this.#late(expected)), PATIENCE_MS);
      this.#told = () => {
        if (!equal()) return;
        clearTimeout(patience);
        resolve();
      };
      this.#told();
    });
    return this.#changes.splice(0);
  }

  #late(expected) {
    const shown = (value) => JSON.stringify(value);
    return new Error(`shows ${shown(this.#documents)}, expected ${shown(expected)} after ${shown(this.#changes)}`);
  }
}

/** A client whose connections go through the proxy. */
function behind(proxy, projectId) {
  const server = process.env[HOST];
  process.env[HOST] = proxy.address;
  try {
    return new Firestore({ projectId });
  } finally {
    process.env[HOST] = server;
  }
}

async function aQueryIsWatchedOverADroppedConnection(things) {
  await things.doc("a").set({ n: 1 });
  await things.doc("b").set({ n: 1 });
  const proxy = await Proxy.to(process.env[HOST]);
  const client = behind(proxy, things.firestore.projectId);
  const watcher = new Watcher();
  const stop = client.collection(things.id).where("n", "==", 1).onSnapshot((snapshot) => {
    const documents = Object.fromEntries(snapshot.docs.map((document) => [document.id, document.data()]));
    watcher.tell(documents, snapshot.docChanges().map((change) => `${change.type} ${change.doc.id}`));
  }, watcher.fail);
  assert.deepEqual((await watcher.shows({ a: { n: 1 }, b: { n: 1 } })).sort(), ["added a", "added b"]);
  await things.doc("c").set({ n: 1 });
  assert.deepEqual(await watcher.shows({ a: { n: 1 }, b: { n: 1 }, c: { n: 1 } }), ["added c"]);
  proxy.cut();
  await things.doc("a").update({ x: 2 });
  await things.doc("b").delete();
  await things.doc("c").update({ n: 2 });
  await things.doc("d").set({ n: 1 });
  proxy.restore();
  const changes = await watcher.shows({ a: { n: 1, x: 2 }, d: { n: 1 } });
  assert.deepEqual(changes.sort(), ["added d", "modified a", "removed b", "removed c"]);
  await things.doc("d").delete();
  assert.deepEqual(await watcher.shows({ a: { n: 1, x: 2 } }), ["removed d"]);
  stop();
  await client.terminate();
}

async function aDocumentIsWatchedOverADroppedConnection(things) {
  const thing = things.doc("a");
  await thing.set({ n: 1 });
  const proxy = await Proxy.to(process.env[HOST]);
  const client = behind(proxy, things.firestore.projectId);
  const watcher = new Watcher();
  const tell = (snapshot) => watcher.tell(snapshot.data(), [snapshot.get("n") ?? null]);
  const stop = client.doc(thing.path).onSnapshot(tell, watcher.fail);
  assert.deepEqual(await watcher.shows({ n: 1 }), [1]);
  proxy.cut();
  await thing.update({ n: 2 });
  await thing.update({ n: 3 });
  proxy.restore();
  assert.deepEqual(await watcher.shows({ n: 3 }), [3]);
  await thing.delete();
  assert.deepEqual(await watcher.shows(undefined), [null]);
  stop();
  await client.terminate();
}

const OPERATIONS = [
  create,
  get,
  setAndMerge,
  update,
  updateWithAPrecondition,
  transforms,
  batch,
  bulkWriter,
  transactionsLoseNoIncrement,
  aReadOnlyTransaction,
  queries,
  orderLimitAndCursors,
  aggregations,
  collectionsBelow,
  aQueryIsWatchedOverADroppedConnection,
  aDocumentIsWatchedOverADroppedConnection,
];

assert.ok(process.env[HOST], `${HOST} is not set: this program must not reach a real database`);
const { version } = createRequire(import.meta.url)("@google-cloud/firestore/package.json");
console.log(`@google-cloud/firestore ${version} on ${process.env[HOST]}`);
const client = new Firestore({ projectId: `node-${randomUUID()}` });
const names = process.argv.slice(2);
for (const operation of OPERATIONS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const start = performance.now();
  await operation(client.collection(operation.name));
  console.log(`ok ${operation.name} ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
await client.terminate();
