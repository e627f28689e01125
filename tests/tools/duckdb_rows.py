"""Prints the rows of tables of a DuckDB database, one JSON line each.

Usage: duckdb_rows.py DATABASE SCHEMA TABLE,TABLE
"""

import datetime
import decimal
import json
import sys

import duckdb


def plain(value, kind):
    """A value of DuckDB as JSON has it; times as milliseconds since 1970."""
    if value is not None and kind.startswith("TIMESTAMP"):
        seconds, millis = divmod(value, 1000)
        time = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis:03}Z"
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value


path, schema, tables = sys.argv[1:]
with duckdb.connect(path, read_only=True) as database:
    for table in tables.split(","):
        columns = [row[:2] for row in database.execute(f'DESCRIBE "{schema}"."{table}"').fetchall()]
        # Times as numbers: as objects they need another module.
        functions = ("epoch_ms" if kind.startswith("TIMESTAMP") else "" for _, kind in columns)
        selected = ", ".join(f'{function}("{name}")' for function, (name, _) in zip(functions, columns))
        for row in database.execute(f'SELECT {selected} FROM "{schema}"."{table}"').fetchall():
            record = {name: plain(value, kind) for value, (name, kind) in zip(row, columns)}
            print("ROW " + json.dumps({"table": table, "row": record}, default=str))
