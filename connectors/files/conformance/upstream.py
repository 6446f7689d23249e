"""Drops files for the conformance suite: a line of JSON in, a line of JSON out."""

import json
import os
import sys
from pathlib import Path

folder = Path(os.environ["GANTRY_TEST_FOLDER"], "drop")
folder.mkdir()
folder.chmod(0o777)
print("{}", flush=True)
written = files = 0
for line in sys.stdin:
    ask = json.loads(line)
    if "put" not in ask:
        print('{"unsupported": true}', flush=True)
        continue
    ids = range(written, written + ask["put"])
    written, files = ids.stop, files + 1
    part = folder / f"{files:04}.jsonl.part"
    part.write_text("".join(f'{{"id": "A-{n}"}}\n' for n in ids))
    part.rename(part.with_suffix(""))
    print("{}", flush=True)
