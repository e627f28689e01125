"""The peer of `cargo xtask bench peers`: Zoho Desk by dlt's `rest_api` source into DuckDB, at the settings
that serve it best: lists by department, in parallel; nested objects as JSON, not as tables. A second run
searches for changed rows, and merges them.

Usage: dlt_rest_api.py CONFIG.json tickets|details|changed FOLDER
"""

import json
import os
import sys

# As many requests at once as the edition allows.
CONFIG, WHAT, FOLDER = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
os.environ.update(
    RUNTIME__DLTHUB_TELEMETRY="false",
    RUNTIME__LOG_LEVEL="ERROR",
    EXTRACT__WORKERS=str(CONFIG["concurrency"]),
    EXTRACT__MAX_PARALLEL_ITEMS=str(4 * CONFIG["concurrency"]),
    DLT_DATA_DIR=FOLDER,
    DO_NOT_TRACK="1",
)

import dlt  # noqa: E402
from dlt.sources.helpers import requests  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

URL = CONFIG["url"]
INCLUDE = "contacts,products,departments,team,isRead,assignee"
# An empty list is 204 without a body.
EMPTY = [{"status_code": 204, "action": "ignore"}]


def token():
    form = {name: CONFIG[name] for name in ("client_id", "client_secret", "refresh_token")}
    answer = requests.post(f"{URL}/oauth/v2/token", data={"grant_type": "refresh_token", **form})
    return answer.json()["access_token"]


def client(headers):
    return {"base_url": f"{URL}/api/v1/", "headers": headers}


def tickets(department):
    pages = {
        "type": "offset", "limit": 100, "offset": 1, "offset_param": "from", "limit_param": "limit",
        "total_path": None, "stop_after_empty_page": True,
    }
    return {
        "name": f"tickets_{department}",
        "table_name": "tickets",
        "parallelized": True,
        "endpoint": {
            "path": "tickets", "data_selector": "data", "paginator": pages, "response_actions": EMPTY,
            "params": {"departmentId": department, "include": INCLUDE},
        },
    }


def details(department):
    return {
        "name": f"details_{department}",
        "table_name": "details",
        "parallelized": True,
        "endpoint": {
            "path": f"tickets/{{resources.tickets_{department}.id}}", "paginator": "single_page",
            "data_selector": "$",
        },
    }


def changed():
    pages = {
        "type": "offset", "limit": 100, "offset": 0, "offset_param": "from", "limit_param": "limit",
        "total_path": None, "stop_after_empty_page": True,
    }
    return {
        "name": "tickets",
        "write_disposition": "merge",
        "primary_key": "id",
        "endpoint": {
            "path": "tickets/search", "data_selector": "data", "paginator": pages, "response_actions": EMPTY,
            "params": {"modifiedTimeRange": f"{CONFIG['since']},{CONFIG['until']}", "sortBy": "modifiedTime"},
        },
    }


def main():
    headers = {"Authorization": f"Zoho-oauthtoken {token()}", "orgId": CONFIG["organization_id"]}
    departments = []
    if WHAT != "changed":
        answer = requests.get(f"{URL}/api/v1/departments", headers=headers)
        departments = [row["id"] for row in answer.json()["data"]]
    resources = [tickets(one) for one in departments] or [changed()]
    if WHAT == "details":
        resources += [details(one) for one in departments]
    source = rest_api_source(
        {"client": client(headers), "resources": resources,
         "resource_defaults": {"write_disposition": "replace", "max_table_nesting": 0}},
        name="desk",
    )
    if WHAT == "details":
        source = source.with_resources(*(f"details_{one}" for one in departments))
    pipeline = dlt.pipeline(
        "desk", pipelines_dir=f"{FOLDER}/pipelines", dataset_name="desk",
        destination=dlt.destinations.duckdb(f"{FOLDER}/rows.duckdb"),
    )
    pipeline.run(source).raise_on_failed_jobs()


main()
