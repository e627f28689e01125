"""The smallest host that can run a connector: PyPI `wasmtime`, WASI HTTP and the WIT contract, no runner.

    python connector_host.py COMPONENT CONFIG.json [--code CODE] [--max-changes N]

Describes, authorizes, checks, discovers and reads every table until it is caught up, with a new instance for
every call, so that only configuration, session and cursor are kept. Prints one JSON object per line:
{"describe": ...}, {"check": [...]}, {"table": ..., "primary_key": [...]},
{"row": {"table", "key", "after"}}, {"read": {...}}.
"""

import argparse
import json
import sys
import time
from types import SimpleNamespace

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Variant

PACKAGE = "connector:source"
VERSION = "0.1.0"


class ConnectorError(Exception):
    """The contract's `error`."""

    def __init__(self, error):
        self.error = error
        super().__init__(f"{error.message} (kind {error.kind}, hint: {error.hint})")


class Connector:
    """One instance of the component, for `open` and one call."""

    def __init__(self, engine, linker, component):
        self.store = Store(engine)
        self.store.set_wasi(WasiConfig())
        self.store.set_wasi_http()
        self.instance = linker.instantiate(self.store, component)

    def call(self, interface, function, *arguments):
        index = self.instance.get_export_index(self.store, f"{PACKAGE}/{interface}@{VERSION}")
        index = self.instance.get_export_index(self.store, function, index)
        func = self.instance.get_func(self.store, index)
        answer = func(self.store, *arguments)
        if hasattr(func, "post_return"):
            func.post_return(self.store)
        # A result is its bare payload, or a tagged variant where both payloads are records.
        if isinstance(answer, Variant):
            answer = answer.payload
        if hasattr(answer, "kind") and hasattr(answer, "retry-after-ms"):
            raise ConnectorError(answer)
        return answer

    def method(self, connection, name, *arguments):
        return self.call("source", f"[method]connection.{name}", connection, *arguments)


# Batches in a row that may leave the cursor where it is, as in the runner.
STUCK_BATCHES_MAX = 5


class Host:
    """Keeps the state of a host: configuration, session, cursors."""

    def __init__(self, path, config):
        self.engine = Engine(Config())
        self.component = Component.from_file(self.engine, path)
        self.linker = Linker(self.engine)
        self.linker.add_wasip2()
        self.linker.add_wasi_http()
        self.config = json.dumps(config)
        self.session = None

    def connector(self):
        return Connector(self.engine, self.linker, self.component)

    def describe(self):
        return json.loads(self.connector().call("metadata", "describe"))

    def run(self, name, *arguments):
        """Opens a connection in a new instance, calls one method, keeps the session."""
        connector = self.connector()
        connection = connector.call("source", "[static]connection.open", self.config, self.session)
        try:
            return connector.method(connection, name, *arguments)
        finally:
            self.session = connector.method(connection, "session") or self.session

    def read(self, table, max_changes):
        """Yields every change of `table` until it is caught up."""
        cursor, stuck = None, 0
        limits = SimpleNamespace(**{"max-changes": max_changes, "max-bytes": 8 << 20, "max-ms": 30_000})
        while True:
            batch = self.run("read", table, cursor, limits)
            yield from batch.changes
            if getattr(batch, "caught-up"):
                return
            wait_ms = getattr(batch, "wait-ms")
            stuck = stuck + 1 if wait_ms is None and cursor == batch.cursor else 0
            if stuck > STUCK_BATCHES_MAX:
                raise RuntimeError(f"table {table}: the cursor does not move")
            time.sleep((wait_ms or 0) / 1000)
            cursor = batch.cursor


def emit(**line):
    print(json.dumps(line, ensure_ascii=False))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("component")
    parser.add_argument("config", help="file with the connector's configuration as JSON")
    parser.add_argument("--code", help="the generated code to authorize with")
    parser.add_argument("--max-changes", type=int, default=1000)
    arguments = parser.parse_args()

    with open(arguments.config, encoding="utf-8") as file:
        host = Host(arguments.component, json.load(file))
    description = host.describe()
    emit(describe={"name": description["name"], "version": description["version"]})
    if arguments.code:
        host.run("authorize", json.dumps({"code": arguments.code}))
    items = host.run("check")
    emit(check=[{"name": item.name, "outcome": item.outcome, "message": item.message} for item in items])
    for table in host.run("discover"):
        emit(table=table.name, primary_key=getattr(table, "primary-key"))
        rows = 0
        for change in host.read(table.name, arguments.max_changes):
            rows += 1
            key, after = json.loads(change.key), json.loads(change.after)
            emit(row={"table": change.table, "key": key, "after": after})
        emit(read={"table": table.name, "rows": rows})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConnectorError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
