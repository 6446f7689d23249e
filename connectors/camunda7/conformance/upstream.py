"""Begins processes in a real engine for the conformance suite: a line of JSON in, a line out.

GANTRY_TEST_ENGINE is the address of the engine, with the process `claim` deployed.
"""

import json
import os
import sys
import urllib.request

engine = os.environ["GANTRY_TEST_ENGINE"]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{engine}/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


def begin(key):
    variables = {"amount": {"value": 900, "type": "Long"}, "subject": {"value": key}}
    body = {"businessKey": key, "variables": variables}
    return ask("process-definition/key/claim/start", body)["id"]


# Locked by the worker that the suite's callbacks speak of, so the capture point does not get it.
instance = begin("K-1")
(task,) = ask(f"external-task?processInstanceId={instance}")
ask(f"external-task/{task['id']}/lock", {"workerId": "gantry-records-0", "lockDuration": 3600000})
print(json.dumps({"endpoint": engine, "task": task["id"]}), flush=True)
n_begun = 0
for line in sys.stdin:
    asked = json.loads(line)
    if "put" in asked:
        for _ in range(asked["put"]):
            n_begun += 1
            begin(f"C-{n_begun}")
        print("{}", flush=True)
    else:
        # A task is completed once, whoever asks how often: the engine knows no keys of deliveries.
        print('{"unsupported": true}', flush=True)
