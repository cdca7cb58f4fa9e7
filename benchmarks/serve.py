"""How fast the server answers, beside nginx, uvicorn, Granian, KServe and the notebook's hosting.

`make bench-serve`; the last line of stdout is one JSON object, kept in results/serve.json. A model
of 100,000 customers × 40,000 products × 64. Every server runs on one core, `wrk` on another; in
each round all are asked in turn, and figures are medians over the rounds. Our server validates
and counts metrics, as in production; no server logs its requests. Peers that cannot be installed
or started (the notebook's needs Java) are left out, with null for their figure.

| figure | of |
|---|---|
| `predict_vs_notebook` | requests/s of 2 predictions, 8 connections, over the notebook's handler |
| `predict_vs_kserve` | the same over KServe's server with the same formula in NumPy |
| `predict_vs_granian_c64` | the same, 64 connections, over our handlers behind Granian (RSGI) |
| `predict_vs_uvicorn_c64` | the same over our handlers behind uvicorn (ASGI) |
| `predict_vs_nginx_c64` | the same over nginx returning a constant to it |
| `precomputed_vs_nginx_c64` | lists of ten that are looked up over the same constant |
| `live_top10_p50_vs_bare` | median time of a list of ten, computed, over that of `serve_bare` |
| `explained_top10_vs_plain` | time of ten, computed, with `explain=true` over that without |
| `explained_ahead_vs_plain` | the same of ten that are looked up, whose reasons are computed |
| `p99_ms_c8` | 99th percentile of the time of 2 predictions, 8 connections |
| `p99_ms_beside_largest_client` | the same while one client asks the most that is allowed |
| `liveness_ms_beside_largest_client` | the longest of all liveness probes in that time |
| `start_s` | from the start of the process to the first answer that it is ready |
| `rss_mb`, `pss_mb` | memory of a worker after all this; pss shares what it has in common |
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.serve_model import export, make_bundles, make_requests
from benchmarks.serve_systems import (
    GRANIAN,
    KSERVE,
    NOTEBOOK,
    UVICORN,
    System,
    environment_with,
    granian,
    kserve,
    nginx,
    notebook,
    ours,
    uvicorn,
)
from components.artifacts.model import Model

CACHE = Path(__file__).parent / ".cache" / "serve"
RESULTS = Path(__file__).parent / "results" / "serve.json"
SCRIPT = Path(__file__).with_name("serve.lua")
PREDICT = "/v1/models/recommender:predict"
RECOMMEND = "/recommend/{}?n=10"
EXPLAIN = f"{RECOMMEND}&explain=true"
CONSTANT = '{"predictions":[3.566279649734497,3.503566026687622]}'

_LONGEST_SECONDS = 600

Figures = dict[str, dict[str, float]]
"""What was measured in one round, by load and by name."""


@dataclass(frozen=True)
class Load:
    """What `wrk` sends from a core of its own.

    Attributes:
        system: the name of the server that it goes to.
        requests: a file of requests, a line each.
        method: GET or POST.
        path: where to; {} stands for the line, which is the body where there is none.
        connections: how many wait for an answer at any time.
    """

    system: str
    requests: Path
    method: str
    path: str
    connections: int

    def command(self, system: System, seconds: int, core: int) -> list[str]:
        """What sends this for so many seconds."""
        command = ["taskset", "--cpu-list", core, "wrk", "--threads=1", "--script", SCRIPT]
        command += [f"--connections={self.connections}", f"--duration={seconds}s", system.url]
        command += ["--", self.requests, self.method, self.path]
        return [str(part) for part in command]

    def send(self, system: System, seconds: int, core: int) -> dict[str, float]:
        """Requests a second, and percentiles of their times in ms."""
        command = self.command(system, seconds, core)
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(told.splitlines()[-1])
        if found["failed"]:
            raise RuntimeError(f"{found['failed']} requests failed: {self}")
        return {
            "per_s": found["requests"] / found["seconds"],
            "p50_ms": found["p50_ms"],
            "p99_ms": found["p99_ms"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of every load")
    options = parser.parse_args()
    for program, package in (("wrk", "wrk"), ("nginx", "nginx-light"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: apt-get install {package}")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the server, one for the client")
    load = os.getloadavg()[0]
    live, with_lists = make_bundles(CACHE)
    loads = make_loads(live)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        systems = start_all(stack, live, with_lists, Path(name), cores[0])
        rounds = []
        for number in range(options.rounds):
            figures = {
                name: one.send(systems[one.system], options.seconds, cores[-1])
                for name, one in loads.items()
                if one.system in systems
            }
            with ours(live, Path(name), cores[0]) as fresh:
                figures["start"] = {"s": fresh.seconds_to_ready}
                with largest_client(fresh, cores[-1]):
                    beside = loads["predict_c8"].send(fresh, options.seconds, cores[-1])
                    figures["beside_largest"] = {"p99_ms": beside["p99_ms"]}
                    figures["liveness"] = {"ms": longest_probe(fresh, options.seconds)}
            figures["bare"] = {"p50_ms": bare(live, cores[0])}
            print(f"round {number + 1}:", json.dumps(figures), flush=True)
            rounds.append(figures)
        memory = memory_of_worker(systems["live"])
    result = summarize(rounds) | memory | {"load_of_others": round(load, 1)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def make_loads(bundle: Path) -> dict[str, Load]:
    """What is asked in every round, in this order."""
    model = Model.load(bundle)
    requests = make_requests(model, CACHE)
    export(model, CACHE)
    pairs = requests["instances"], "POST", PREDICT
    columns = requests["columns"], "POST", "/predictions/recommender"
    customers = requests["customers"], "GET", RECOMMEND
    explained = requests["customers"], "GET", EXPLAIN
    return {
        "notebook_c8": Load("notebook", *columns, 8),
        "kserve_c8": Load("kserve", *pairs, 8),
        "predict_c8": Load("live", *pairs, 8),
        "nginx_c64": Load("nginx", *pairs, 64),
        "uvicorn_c64": Load("uvicorn", *pairs, 64),
        "predict_c64": Load("live", *pairs, 64),
        "granian_c64": Load("granian", *pairs, 64),
        "precomputed_c64": Load("with_lists", *customers, 64),
        "top10_c1": Load("live", *customers, 1),
        "top10_c64": Load("live", *customers, 64),
        "explained_c64": Load("live", *explained, 64),
        "explained_ahead_c64": Load("with_lists", *explained, 64),
    }


def start_all(
    stack: ExitStack, live: Path, with_lists: Path, folder: Path, core: int
) -> dict[str, System]:
    """Every server that can be had, for as long as the stack is open."""
    systems = {
        "nginx": stack.enter_context(nginx(CONSTANT, folder, core)),
        "live": stack.enter_context(ours(live, folder, core)),
        "with_lists": stack.enter_context(ours(with_lists, folder, core)),
    }
    for name, requirements, peer, model in (
        ("uvicorn", UVICORN, uvicorn, live),
        ("granian", GRANIAN, granian, live),
        ("kserve", KSERVE, kserve, CACHE),
        ("notebook", NOTEBOOK, notebook, CACHE),
    ):
        try:
            python = environment_with(CACHE.parent / "peers-serve" / name, requirements)
            systems[name] = stack.enter_context(peer(python, model, folder, core))
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(f"{requirements[0]} cannot be had here and is left out: {error}", flush=True)
    return systems


@contextmanager
def largest_client(system: System, core: int) -> Iterator[None]:
    """One client asks the most that is allowed, over 64 connections, until the block ends."""
    loads = [
        Load("live", CACHE / "most_lists.txt", "POST", "/recommend", 32),
        Load("live", CACHE / "most_pairs.txt", "POST", PREDICT, 32),
    ]
    with ExitStack() as stack:
        for load in loads:
            command = load.command(system, _LONGEST_SECONDS, core)
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
        time.sleep(1)
        yield


def longest_probe(system: System, seconds: int) -> float:
    """The longest time in ms of liveness probes, each on a connection of its own."""
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        with urlopen(f"{system.url}/v2/health/live") as answer:
            answer.read()
        taken.append(time.perf_counter() - start)
        time.sleep(0.05)
    return max(taken) * 1000


def bare(bundle: Path, core: int) -> float:
    """The median of milliseconds, from a process of its own on the servers' core."""
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", "benchmarks.serve_bare"]
    command += [str(bundle), str(CACHE / "customers.txt")]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def memory_of_worker(system: System) -> dict[str, float]:
    """Resident and proportional set size of a server's one worker, in MB."""
    children = Path(f"/proc/{system.pid}/task/{system.pid}/children").read_text().split()
    lines = Path(f"/proc/{children[0]}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines}
    return {"rss_mb": round(sizes["Rss"], 1), "pss_mb": round(sizes["Pss"], 1)}


def summarize(rounds: list[Figures]) -> dict[str, float | None]:
    """Medians over the rounds, and of the liveness probes the longest of all."""

    def median(of: Callable[[Figures], float]) -> float:
        return round(statistics.median(map(of, rounds)), 3)

    def ratio(over: str, under: str, figure: str = "per_s") -> float | None:
        if under not in rounds[0]:
            return None
        return median(lambda one: one[over][figure] / one[under][figure])

    return {
        "predict_vs_notebook": ratio("predict_c8", "notebook_c8"),
        "predict_vs_kserve": ratio("predict_c8", "kserve_c8"),
        "predict_vs_granian_c64": ratio("predict_c64", "granian_c64"),
        "predict_vs_uvicorn_c64": ratio("predict_c64", "uvicorn_c64"),
        "predict_vs_nginx_c64": ratio("predict_c64", "nginx_c64"),
        "precomputed_vs_nginx_c64": ratio("precomputed_c64", "nginx_c64"),
        "live_top10_p50_vs_bare": ratio("top10_c1", "bare", "p50_ms"),
        "explained_top10_vs_plain": ratio("top10_c64", "explained_c64"),
        "explained_ahead_vs_plain": ratio("precomputed_c64", "explained_ahead_c64"),
        "p99_ms_c8": median(lambda one: one["predict_c8"]["p99_ms"]),
        "p99_ms_beside_largest_client": median(lambda one: one["beside_largest"]["p99_ms"]),
        "liveness_ms_beside_largest_client": round(max(one["liveness"]["ms"] for one in rounds), 3),
        "start_s": median(lambda one: one["start"]["s"]),
        "rounds": len(rounds),
        **{
            f"{name}_per_s": round(statistics.median(one[name]["per_s"] for one in rounds))
            for name in rounds[0]
            if "per_s" in rounds[0][name]
        },
    }


if __name__ == "__main__":
    main()
