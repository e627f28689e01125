"""Reads tables of a source with PyAirbyte into the schema `desk` of a DuckDB database.

Usage: read_into_duckdb.py EXECUTABLE CONFIG DATABASE TABLE,TABLE
"""

import json
import sys

import airbyte
from airbyte.caches import DuckDBCache

executable, config, database, tables = sys.argv[1:]
with open(config, encoding="utf-8") as file:
    source = airbyte.get_source("source-desk", config=json.load(file), local_executable=executable)
source.check()
source.select_streams(tables.split(","))
source.read(cache=DuckDBCache(db_path=database, schema_name="desk"))
