"""Echo: batches of 256 questions in, answers out, records in, records out, JSON both ways.

    python3 -m tests.bench
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .hub import Hub

N_BATCHES, N_IN_FLIGHT, BATCH = 200, 4, 256
PAYLOAD: dict[str, Any] = {
    "order": "o-4711",
    "customer": {"id": 7, "name": "Anna"},
    "lines": ["x" * 80] * 8,
}


def main() -> None:
    with Hub(Path(__file__).parent / "echo.py") as hub:
        hub.greet()
        hub.call(2, 1, {"name": "echo", "config": {}})
        for target, role in ((2, "capture"), (3, "lookup")):
            hub.call(4, target, {"instance": 1, "role": role, "name": role, "settings": {}})
        queries: list[Any] = [{"attributes": {"number": number}} for number in range(BATCH)]
        measure(hub, "look-ups (a number)", 32, 3, queries)
        queries = [{"attributes": PAYLOAD} for _ in range(BATCH)]
        measure(hub, f"look-ups ({len(json.dumps(PAYLOAD))} bytes)", 32, 3, queries)
        measure(hub, f"records ({len(json.dumps(PAYLOAD))} bytes)", 16, 2, {"limit": BATCH})


def measure(hub: Hub, what: str, opcode: int, target: int, request: Any) -> None:
    for _ in range(N_IN_FLIGHT):
        hub.start(opcode, target, request)
    began, cpu = time.perf_counter(), time.process_time()
    for n in range(N_BATCHES):
        hub.next()
        if n < N_BATCHES - N_IN_FLIGHT:
            hub.start(opcode, target, request)
    took, own = time.perf_counter() - began, time.process_time() - cpu
    rate = N_BATCHES * BATCH / took
    print(f"{what}: {rate:,.0f} a second ({own / took:.0%} of a core is the test's own)")


if __name__ == "__main__":
    main()
