"""Prints id and subject of each row that `dlt_rest_api.py` stored, a JSON list on each line."""

import json
import sys

import duckdb

with duckdb.connect(f"{sys.argv[2]}/rows.duckdb", read_only=True) as database:
    for row in database.execute(f"SELECT id, subject FROM desk.{sys.argv[1]}").fetchall():
        print(json.dumps(row))
