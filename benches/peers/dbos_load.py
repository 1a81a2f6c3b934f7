"""Callers of DBOS, which lives in its caller's process: one thread each. Prints what load.mjs prints."""

import json
import resource
import sys
import threading
import time

from dbos import DBOS

asked = json.loads(sys.argv[1])
url, job, callers, seconds = asked["url"], asked["job"], asked["callers"], asked["seconds"]
DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})


@DBOS.step()
def step(value: int) -> int:
    return value


@DBOS.workflow()
def no_op() -> None:
    return None


@DBOS.workflow()
def three() -> int:
    step(1)
    step(2)
    return step(3)


@DBOS.workflow()
def hello() -> float:
    return time.time()


DBOS.launch()
workflow = {"no_op": no_op, "three": three, "hello": hello}[job]
took: list[float] = []
first: list[float] = []
failures = 0
warm = time.time() + min(1.0, seconds / 4)
end = warm + seconds


def caller() -> None:
    global failures
    while time.time() < end:
        began = time.time()
        try:
            line = workflow()
        except Exception as error:
            failures += 1
            print(error, file=sys.stderr)
            continue
        if began >= warm:
            took.append((time.time() - began) * 1e3)
            if job == "hello":
                first.append((line - began) * 1e3)


threads = [threading.Thread(target=caller) for _ in range(callers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# To the last answer: what was begun in time counts with all of its time.
measured = time.time() - warm
samples = sorted(first if job == "hello" else took)


def at(share: float) -> float | None:
    return samples[round((len(samples) - 1) * share)] if samples else None


memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rate": len(took) / measured, "p50": at(0.5), "p99": at(0.99), "failures": failures, "memory": memory}))
sys.stdout.flush()
DBOS.destroy()
