"""Reads a source with PyAirbyte into DuckDB and prints the rows of its tables, one JSON line each.

Usage: read_into_duckdb.py EXECUTABLE CONFIG DATABASE TABLE,TABLE
"""

import datetime
import decimal
import json
import sys

import airbyte
import duckdb
from airbyte.caches import DuckDBCache

executable, config, database, tables = sys.argv[1:]
tables = tables.split(",")
with open(config, encoding="utf-8") as file:
    source = airbyte.get_source("source-desk", config=json.load(file), local_executable=executable)
source.check()
source.select_streams(tables)
source.read(cache=DuckDBCache(db_path=database, schema_name="desk"), progress=False) \
    if "progress" in source.read.__code__.co_varnames \
    else source.read(cache=DuckDBCache(db_path=database, schema_name="desk"))


def plain(value):
    """A value of DuckDB as JSON has it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value


rows = sys.stdout
for table in tables:
    with duckdb.connect(database) as connection:
        found = connection.execute(f'SELECT * FROM desk."{table}"')
        names = [column[0] for column in found.description]
        for row in found.fetchall():
            record = dict(zip(names, map(plain, row)))
            print("ROW " + json.dumps({"table": table, "row": record}, default=str), file=rows)
