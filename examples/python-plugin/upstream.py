"""The other side of the conformance suite: writes tickets, reads what is done.

A line of JSON in, a line of JSON out.
"""

import csv
import json
import os
import sys
from collections import Counter
from pathlib import Path

desk = Path(os.environ["GANTRY_TEST_FOLDER"], "desk")
desk.mkdir()
desk.chmod(0o777)
tickets, done = desk / "tickets.csv", desk / "done.csv"
tickets.write_text("id,subject,customer\n")
(desk / "customers.csv").write_text("id,tier\nC-1,gold\nC-2,silver\n")
print("{}", flush=True)
written = 0
for line in sys.stdin:
    ask = json.loads(line)
    if "put" in ask:
        with tickets.open("a") as file:
            for n in range(written, written + ask["put"]):
                file.write(f'T-{n},"a, ""b""\nc",C-1\n')
        written += ask["put"]
        print("{}", flush=True)
    else:
        rows = csv.reader(done.open(newline="")) if done.exists() else []
        print(json.dumps({"delivered": Counter(row[0] for row in rows)}), flush=True)
