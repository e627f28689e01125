"""Reads the Parquet files of a table with DuckDB, and prints JSON lines.

Usage: parquet_rows.py FOLDER TABLE KEY QUERY
KEY: the columns of the table's key, with commas between them. Their values with `-` between them are the id.
LINE: a change, as a line of the JSON lines sink. ROW: a row of the query, which has the columns of the key
and `row`.
Fails where a typed column differs from the row's document, or a listed file from its line in the manifest.
"""

import datetime
import glob
import hashlib
import json
import os
import sys

import duckdb

folder, table, key, query = sys.argv[1:]
key = key.split(",")
database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
OWN = {"_sequence", "_operation", "_as_of_ms", "_generation", "_change_source", "_partial",
       "_source_updated_at", "_raw", "date", *key}


def converted(value, kind):
    """The value that a typed column has for a value of the document."""
    if value is None or value == "" and kind != "string":
        return None
    if kind == "json":
        return value
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if kind == "boolean":
        return str(value).lower() == "true"
    if kind == "timestamp":
        return round(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1000)
    return {"int64": int, "double": float}[kind](value)


def documented(row, column):
    """The member of the document that a column has: the row's own, or a custom field's."""
    if column in row:
        return row[column]
    fields = row.get("cf")
    return fields.get(column) if isinstance(fields, dict) else None


def id_of(record):
    return "-".join(record[name] or "" for name in key)


def check_columns(columns, record):
    row = json.loads(record["_raw"])
    for name, kind in columns.items():
        if name in OWN or "__" in name:
            continue
        expected, found = converted(documented(row, name), kind), record[name]
        if kind == "json" and found is not None:
            found = json.loads(found)
        assert expected == found, f"{table} {id_of(record)}: {name}: {found!r}, and not {expected!r}"


def check_files():
    """Every file is listed, and is as its manifest says. Returns the types of the columns."""
    columns = {}
    for day in sorted(glob.glob(f"{folder}/{table}/date=*")):
        with open(f"{day}/_manifest.json") as file:
            manifest = json.load(file)
        listed = {entry["name"] for entry in manifest["files"]}
        assert listed == {os.path.basename(path) for path in glob.glob(f"{day}/*.parquet")}, day
        for entry in manifest["files"]:
            path = f"{day}/{entry['name']}"
            with open(path, "rb") as file:
                assert hashlib.sha256(file.read()).hexdigest() == entry["sha256"], path
            count, low, high = database.execute(
                f"SELECT count(*), min(_as_of_ms), max(_as_of_ms) FROM '{path}'").fetchone()
            as_of = entry["as_of_ms"] or {"min": None, "max": None}
            assert (count, low, high) == (entry["rows"], as_of["min"], as_of["max"]), path
            columns.update(entry["columns"])
    return columns


columns = check_files()
files = f"read_parquet('{folder}/{table}/*/*.parquet', union_by_name = true)"
described = database.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()
# Times as numbers: as objects they need another module.
selected = ", ".join(
    f'epoch_ms("{name}") AS "{name}"' if kind.startswith("TIMESTAMP") else f'"{name}"'
    for name, kind, *_ in described if name != "date")
result = database.execute(f"SELECT {selected} FROM {files} ORDER BY _sequence")
names = [column[0] for column in result.description]
for values in result.fetchall():
    record = dict(zip(names, values))
    if record["_raw"] is not None:
        check_columns(columns, record)
    line = {
        "table": table, "operation": record["_operation"], "key": {"id": id_of(record)},
        "as_of_ms": record["_as_of_ms"], "generation": record["_generation"],
        "partial": record["_partial"], "after": json.loads(record["_raw"] or "null"),
    }
    print("LINE " + json.dumps(line))
selected = ", ".join(f'"{name}"' for name in key)
for *values, row in database.execute(f"SELECT {selected}, to_json(row) FROM ({query})").fetchall():
    print("ROW " + json.dumps({"id": id_of(dict(zip(key, values))), "row": json.loads(row)}))
