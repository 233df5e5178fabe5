#!/usr/bin/env python3
"""Everyday operations of Google's own Firestore client (google-cloud-firestore) on the server that FIRESTORE_EMULATOR_HOST names.

    python3 -m venv VENV && VENV/bin/pip install -r tests/python/requirements.txt
    FIRESTORE_EMULATOR_HOST=127.0.0.1:PORT VENV/bin/python tests/python/firestore_client.py [OPERATION...]

Prints the client's version and one line for each operation; ends with an error at the first that fails. Google's
emulator passes them all too, but it locks what a transaction reads: there the rivals of
transactions_lose_no_increment can starve.
"""

import concurrent.futures
import contextlib
import os
import socket
import sys
import threading
import time
import uuid

from google.api_core.exceptions import AlreadyExists, FailedPrecondition, NotFound
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or
from grpc import StatusCode

HOST = "FIRESTORE_EMULATOR_HOST"
THREADS = 8
INCREMENTS_PER_THREAD = 5
# Losers of a transaction back off and try again; the client's own limit of 5 attempts is too few for so many rivals.
ATTEMPTS = 50
# For what a listener must be told, with the client's own waiting before it connects again.
PATIENCE_SECONDS = 30


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def refused(error, act):
    try:
        act()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def ids(documents):
    return [document.id for document in documents]


def create(things):
    thing = things.document("a")
    thing.create({"n": 1, "nested": {"x": [1, "two", None]}, "bytes": b"\x00", "double": 0.5})
    refused(AlreadyExists, lambda: thing.create({"n": 2}))
    equal(thing.get().to_dict(), {"n": 1, "nested": {"x": [1, "two", None]}, "bytes": b"\x00", "double": 0.5})


def get(things):
    things.document("a").set({"n": 1})
    snapshot = things.document("a").get()
    equal((snapshot.exists, snapshot.id, snapshot.create_time), (True, "a", snapshot.update_time))
    equal(things.document("a").get(field_paths=["n"]).to_dict(), {"n": 1})
    equal(things.document("absent").get().exists, False)
    both = things._client.get_all([things.document("a"), things.document("absent")])
    equal(sorted((snapshot.id, snapshot.exists) for snapshot in both), [("a", True), ("absent", False)])


def set_and_merge(things):
    thing = things.document("a")
    thing.set({"n": 1, "nested": {"x": 1, "y": 2}})
    thing.set({"nested": {"x": 5}}, merge=True)
    equal(thing.get().to_dict(), {"n": 1, "nested": {"x": 5, "y": 2}})
    thing.set({"n": 2})
    equal(thing.get().to_dict(), {"n": 2})


def update(things):
    thing = things.document("a")
    refused(NotFound, lambda: thing.update({"n": 1}))
    thing.set({"n": 1, "nested": {"x": 1, "a.b": 2}, "gone": True})
    thing.update({"nested.x": 5, "nested.`a.b`": 6, "gone": firestore.DELETE_FIELD, "more": "text"})
    equal(thing.get().to_dict(), {"n": 1, "nested": {"x": 5, "a.b": 6}, "more": "text"})


def update_with_a_precondition(things):
    client, thing = things._client, things.document("a")
    first = thing.set({"n": 1}).update_time
    second = thing.update({"n": 2}, option=client.write_option(last_update_time=first)).update_time
    stale = client.write_option(last_update_time=first)
    refused(FailedPrecondition, lambda: thing.update({"n": 3}, option=stale))
    refused(FailedPrecondition, lambda: thing.delete(option=stale))
    equal(thing.get().to_dict(), {"n": 2})
    equal(thing.get().update_time, second)
    thing.delete(option=client.write_option(last_update_time=second))
    refused(NotFound, lambda: thing.delete(option=client.write_option(exists=True)))


def transforms(things):
    thing = things.document("a")
    thing.set({"n": 1, "list": [1, 2], "at": firestore.SERVER_TIMESTAMP})
    thing.update(
        {
            "n": firestore.Increment(4),
            "most": firestore.Maximum(7),
            "least": firestore.Minimum(0.5),
            "list": firestore.ArrayUnion([2, 3]),
        }
    )
    thing.update({"list": firestore.ArrayRemove([1])})
    snapshot = thing.get()
    at = snapshot.get("at")
    equal(snapshot.to_dict(), {"n": 5, "most": 7, "least": 0.5, "list": [2, 3], "at": at})
    seconds_apart = abs((snapshot.update_time - at).total_seconds())
    equal(seconds_apart < 60, True)


def batch(things):
    things.document("a").set({"n": 1})
    writes = things._client.batch()
    writes.set(things.document("b"), {"n": 2})
    writes.update(things.document("a"), {"n": 5})
    writes.delete(things.document("absent"))
    results = writes.commit()
    equal(len(results), 3)
    equal([document.to_dict() for document in things.stream()], [{"n": 5}, {"n": 2}])
    spoiled = things._client.batch()
    spoiled.set(things.document("c"), {})
    spoiled.update(things.document("absent"), {"n": 1})
    refused(NotFound, spoiled.commit)
    equal(ids(things.stream()), ["a", "b"])


def bulk_writer(things):
    failures = []

    def note(failure, _writer):
        failures.append(failure.code)
        return False  # not to be tried again

    writer = things._client.bulk_writer()
    for n in range(60):
        writer.create(things.document(f"{n:02}"), {"n": n})
    writer.close()
    writer = things._client.bulk_writer()
    writer.on_write_error(note)
    writer.create(things.document("00"), {"n": -1})
    writer.delete(things.document("59"))
    writer.close()
    equal(failures, [StatusCode.ALREADY_EXISTS.value[0]])
    equal(ids(things.stream()), [f"{n:02}" for n in range(59)])
    equal(things.document("00").get().to_dict(), {"n": 0})


def transactions_lose_no_increment(things):
    thing = things.document("counter")
    thing.set({"n": 0})

    @firestore.transactional
    def increment(transaction):
        n = thing.get(transaction=transaction).get("n")
        transaction.update(thing, {"n": n + 1})

    def work(_):
        # A client of its own, as another program would have.
        client = firestore.Client(project=things._client.project)
        for _ in range(INCREMENTS_PER_THREAD):
            increment(client.transaction(max_attempts=ATTEMPTS))

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    equal(thing.get().get("n"), THREADS * INCREMENTS_PER_THREAD)


def a_read_only_transaction(things):
    things.document("a").set({"n": 1})
    transaction = things._client.transaction(read_only=True)

    @firestore.transactional
    def read(transaction):
        before = things.document("a").get(transaction=transaction).get("n")
        things.document("a").set({"n": 2})
        return before, things.document("a").get(transaction=transaction).get("n")

    equal(read(transaction), (1, 1))


def queries(things):
    for n, (name, colour) in enumerate([("a", "red"), ("b", "blue"), ("c", "red"), ("d", "green")]):
        things.document(name).set({"n": n, "colour": colour, "tags": [colour, n], "nested": {"x": n}})

    def where(*test):
        return things.where(filter=FieldFilter(*test))

    equal(ids(where("colour", "==", "red").stream()), ["a", "c"])
    equal(ids(where("n", ">", 0).where(filter=FieldFilter("n", "<=", 2)).stream()), ["b", "c"])
    equal(ids(where("n", "!=", 1).stream()), ["a", "c", "d"])
    equal(ids(where("colour", "in", ["blue", "green"]).stream()), ["b", "d"])
    equal(ids(where("colour", "not-in", ["blue", "green"]).stream()), ["a", "c"])
    equal(ids(where("tags", "array_contains", "red").stream()), ["a", "c"])
    equal(ids(where("tags", "array_contains_any", [1, 3]).stream()), ["b", "d"])
    equal(ids(where("nested.x", "==", 2).stream()), ["c"])
    either = Or([FieldFilter("colour", "==", "blue"), FieldFilter("n", "==", 3)])
    equal(sorted(ids(things.where(filter=either).stream())), ["b", "d"])
    both = And([FieldFilter("colour", "==", "red"), FieldFilter("n", "==", 2)])
    equal(ids(things.where(filter=both).stream()), ["c"])
    projected = where("n", "==", 1).select(["nested.x"]).get()
    equal([document.to_dict() for document in projected], [{"nested": {"x": 1}}])


def order_limit_and_cursors(things):
    for name, n in [("a", 2), ("b", 1), ("c", 2), ("d", 3)]:
        things.document(name).set({"n": n})

    def by_number():
        # Anew each time: the client turns a query round in place when it limits to the last.
        return things.order_by("n")

    equal(ids(by_number().stream()), ["b", "a", "c", "d"])
    equal(ids(things.order_by("n", direction=firestore.Query.DESCENDING).stream()), ["d", "c", "a", "b"])
    equal(ids(by_number().limit(2).stream()), ["b", "a"])
    equal(ids(by_number().limit_to_last(2).get()), ["c", "d"])
    equal(ids(by_number().offset(1).limit(2).stream()), ["a", "c"])
    equal(ids(by_number().start_at({"n": 2}).end_before({"n": 3}).stream()), ["a", "c"])
    equal(ids(by_number().start_after(things.document("a").get()).stream()), ["c", "d"])
    equal(ids(by_number().end_at(things.document("a").get()).stream()), ["b", "a"])


def aggregations(things):
    for n in range(5):
        things.document(str(n)).set({"n": n})
    some = things.where(filter=FieldFilter("n", ">", 1))
    found = some.count(alias="count").sum("n", alias="sum").avg("n", alias="average").get()
    equal({result.alias: result.value for result in found[0]}, {"count": 3, "sum": 9, "average": 3.0})


def collections_below(things):
    things.document("a/parts/p").set({"n": 1})
    things.document("b/parts/q").set({"n": 2})
    equal(ids(things.document("a").collection("parts").stream()), ["p"])
    equal(ids(things.list_documents()), ["a", "b"])


class Proxy:
    """Passes connections on to the server until it is cut; then it refuses them until it is restored."""

    def __init__(self, server):
        host, port = server.rsplit(":", 1)
        self._server = (host, int(port))
        self._lock = threading.Lock()
        self._open = []
        self._down = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        with self._lock:
            self._down = True
            cut, self._open = self._open, []
        equal(len(cut) > 0, True)
        for end in cut:
            with contextlib.suppress(OSError):  # ended by itself
                # Also wakes who reads from it; a close alone does not.
                end.shutdown(socket.SHUT_RDWR)

    def restore(self):
        with self._lock:
            self._down = False

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            with self._lock:
                if self._down:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
            for ends in [(client, server), (server, client)]:
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):  # cut
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Watcher:
    """Collects what a listener is told."""

    def __init__(self):
        self._told = threading.Condition()
        self._documents = None
        self._changes = []

    def __call__(self, documents, changes, _read_time):
        with self._told:
            self._documents = {document.id: document.to_dict() for document in documents}
            self._changes += [(change.type.name, change.document.id) for change in changes]
            self._told.notify_all()

    def shows(self, expected):
        """Waits until the listener shows these documents; returns the changes since the last call."""
        with self._told:
            if not self._told.wait_for(lambda: self._documents == expected, PATIENCE_SECONDS):
                raise AssertionError(f"shows {self._documents}, expected {expected} after {self._changes}")
            changes, self._changes = self._changes, []
            return changes


def behind(proxy, project):
    """A client whose connections go through the proxy."""
    server = os.environ[HOST]
    try:
        os.environ[HOST] = proxy.address
        return firestore.Client(project=project)
    finally:
        os.environ[HOST] = server


def a_query_is_watched_over_a_dropped_connection(things):
    things.document("a").set({"n": 1})
    things.document("b").set({"n": 1})
    proxy = Proxy(os.environ[HOST])
    watched = behind(proxy, things._client.project).collection(things.id)
    watcher = Watcher()
    watch = watched.where(filter=FieldFilter("n", "==", 1)).on_snapshot(watcher)
    equal(sorted(watcher.shows({"a": {"n": 1}, "b": {"n": 1}})), [("ADDED", "a"), ("ADDED", "b")])
    things.document("c").set({"n": 1})
    equal(watcher.shows({"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 1}}), [("ADDED", "c")])
    proxy.cut()
    things.document("a").update({"x": 2})
    things.document("b").delete()
    things.document("c").update({"n": 2})
    things.document("d").set({"n": 1})
    proxy.restore()
    changes = watcher.shows({"a": {"n": 1, "x": 2}, "d": {"n": 1}})
    equal(sorted(changes), [("ADDED", "d"), ("MODIFIED", "a"), ("REMOVED", "b"), ("REMOVED", "c")])
    things.document("d").delete()
    equal(watcher.shows({"a": {"n": 1, "x": 2}}), [("REMOVED", "d")])
    watch.unsubscribe()


def a_document_is_watched_over_a_dropped_connection(things):
    thing = things.document("a")
    thing.set({"n": 1})
    proxy = Proxy(os.environ[HOST])
    watched = behind(proxy, things._client.project).document(thing.path)
    watcher = Watcher()
    watch = watched.on_snapshot(watcher)
    equal(watcher.shows({"a": {"n": 1}}), [("ADDED", "a")])
    proxy.cut()
    thing.update({"n": 2})
    thing.update({"n": 3})
    proxy.restore()
    equal(watcher.shows({"a": {"n": 3}}), [("MODIFIED", "a")])
    thing.update({"n": 4})
    equal(watcher.shows({"a": {"n": 4}}), [("MODIFIED", "a")])
    watch.unsubscribe()


OPERATIONS = [
    create,
    get,
    set_and_merge,
    update,
    update_with_a_precondition,
    transforms,
    batch,
    bulk_writer,
    transactions_lose_no_increment,
    a_read_only_transaction,
    queries,
    order_limit_and_cursors,
    aggregations,
    collections_below,
    a_query_is_watched_over_a_dropped_connection,
    a_document_is_watched_over_a_dropped_connection,
]


def main(names):
    if HOST not in os.environ:
        sys.exit(f"{HOST} is not set: this program must not reach a real database")
    print(f"google-cloud-firestore {firestore.__version__} on {os.environ[HOST]}")
    client = firestore.Client(project=f"python-{uuid.uuid4().hex}")
    wanted = [operation for operation in OPERATIONS if not names or operation.__name__ in names]
    for operation in wanted:
        start = time.monotonic()
        operation(client.collection(operation.__name__))
        print(f"ok {operation.__name__} {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
