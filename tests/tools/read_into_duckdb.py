"""Reads a source with PyAirbyte into DuckDB and prints the rows of its tables, one JSON line each.

Usage: read_into_duckdb.py EXECUTABLE CONFIG DATABASE TABLE,TABLE
"""

import datetime
import decimal
import json
import sys

import airbyte
import sqlalchemy
from airbyte.caches import DuckDBCache


def plain(value):
    """A value of DuckDB as JSON has it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value


executable, config, database, tables = sys.argv[1:]
tables = tables.split(",")
with open(config, encoding="utf-8") as file:
    source = airbyte.get_source("source-desk", config=json.load(file), local_executable=executable)
source.check()
source.select_streams(tables)
cache = DuckDBCache(db_path=database, schema_name="desk")
source.read(cache=cache)
with cache.get_sql_engine().connect() as connection:
    for table in tables:
        found = connection.execute(sqlalchemy.text(f'SELECT * FROM desk."{table}"'))
        names = list(found.keys())
        for row in found.fetchall():
            record = dict(zip(names, map(plain, row)))
            print("ROW " + json.dumps({"table": table, "row": record}, default=str))
