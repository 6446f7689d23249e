"""A small CRM in SQLite for the conformance suite: a line of JSON in, a line of JSON out."""

import json
import os
import sqlite3
import sys
import time
from pathlib import Path

path = Path(os.environ["GANTRY_TEST_FOLDER"], "crm.db")


def run(statement, *values):
    """Anew each time, so that no lock outlives a statement."""
    with sqlite3.connect(path, timeout=10) as crm:
        return crm.execute(statement, values).fetchall()


run("CREATE TABLE leads (id TEXT PRIMARY KEY, name TEXT, changed_ms INTEGER)")
run("CREATE TABLE customers (id TEXT PRIMARY KEY, tier TEXT)")
run("INSERT INTO customers VALUES ('C-1', 'gold'), ('C-2', 'silver')")
run("CREATE TABLE effects (key TEXT, lead TEXT)")
run("CREATE TABLE ledger (idempotency_key TEXT PRIMARY KEY)")
run("INSERT INTO leads VALUES ('A-0', 'old', 0)")
path.chmod(0o666)
print("{}", flush=True)
written = 0
for line in sys.stdin:
    ask = json.loads(line)
    if "put" in ask:
        # Two of a kind: the key alone tells rows of the same moment apart.
        now = time.time_ns() // 1_000_000 - 1000
        for n in range(written + 1, written + 1 + ask["put"]):
            run("INSERT INTO leads VALUES (?, ?, ?)", f"A-{n:06}", "new", now + n // 2)
        written += ask["put"]
        print("{}", flush=True)
    else:
        rows = run("SELECT key, count(*) FROM effects GROUP BY key")
        print(json.dumps({"delivered": dict(rows)}), flush=True)
