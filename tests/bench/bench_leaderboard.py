"""The website at the vision library's size: how quick its pages are, how large, how many visitors it bears, in how much memory.

    python tests/bench/bench_leaderboard.py [--models 683] [--benchmarks 270] [--visitors 100]

A real PostgreSQL holds the scores, `brainscore-ops serve` the site. Prints one JSON document: seconds to compute the leaderboard
and what pandas takes for the same table (its `read_sql` and `unstack`), with their ratio; seconds and bytes of pages; what
a hundred visitors at once met; the server's greatest resident memory; and seconds to publish the site as files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from library_scores import DOMAIN, fill
from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.schema import upgrade
from brainscore_ops.portal.static_site import write_site
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.revision import scores_revision
from brainscore_ops.settings import DatabaseSecret, Workspace, load_deployment

ROOT = Path(__file__).parents[2]
PAGES = {
    "leaderboard": "/",
    "sorted": "/?sort=V1",
    "found": "/?q=vit",
    "group": "/?parent=V1",
    "all columns": "/?columns=all",
    "benchmarks": "/benchmarks",
    "API scores": "/api/v1/scores?models=20",
}
PEER = """
    SELECT model_id, benchmark_id, coalesce(p.value, score_ceiled, score_raw) AS value
    FROM brainscore_score s LEFT JOIN score_provenance p ON p.score_id = s.id
"""


def fetch(address: str, etag: str = "") -> tuple[int, bytes, str]:
    """Status, body as it came (compressed), ETag."""
    headers = {"Accept-Encoding": "gzip", **({"If-None-Match": etag} if etag else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read(), answer.headers.get("ETag", "")
    except urllib.error.HTTPError as error:
        return error.code, b"", ""


def seconds(work: Any, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 4)


def memory(process: int, field: str) -> float:
    """MB of a process's ``VmRSS`` or ``VmHWM``."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1024, 1)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def measure_site(url: str, process: int, visitors: int) -> dict[str, Any]:
    found: dict[str, Any] = {"memory at the start": memory(process, "VmRSS")}
    began = time.perf_counter()
    fetch(url)
    found["first visit after a change (s)"] = round(time.perf_counter() - began, 3)
    found["pages"] = {}
    for name, path in PAGES.items():
        body = fetch(url + path)[1]
        found["pages"][name] = {
            "seconds": seconds(lambda path=path: fetch(url + path)),
            "kB compressed": round(len(body) / 1000, 1),
            "kB": round(len(gzip.decompress(body)) / 1000, 1),
        }
    model = gzip.decompress(fetch(url)[1]).decode().split("/models/")[1].split('"')[0]
    found["pages"]["model"] = {
        "seconds": seconds(lambda: fetch(f"{url}/models/{model}")),
        "kB compressed": round(len(fetch(f"{url}/models/{model}")[1]) / 1000, 1),
    }
    etag = fetch(url)[2]
    found["known already"] = {"status": fetch(url, etag)[0], "seconds": seconds(lambda: fetch(url, etag))}

    def visit(number: int) -> tuple[int, float]:
        path = list(PAGES.values())[number % len(PAGES)]
        began = time.perf_counter()
        try:
            return fetch(url + path)[0], time.perf_counter() - began
        except OSError:
            return 0, time.perf_counter() - began

    with ThreadPoolExecutor(visitors) as crowd:
        met = list(crowd.map(visit, range(3 * visitors)))
    waits = sorted(wait for _, wait in met)
    found[f"{visitors} visitors at once, 3 pages each"] = {
        "statuses": dict(Counter(status for status, _ in met)),
        "median seconds": round(statistics.median(waits), 3),
        "95 % within seconds": round(waits[int(len(waits) * 0.95)], 3),
    }
    found["memory then"] = memory(process, "VmRSS")
    fetch(f"{url}/leaderboard.json")
    fetch(f"{url}/leaderboard.csv")
    began = time.perf_counter()
    fetch(f"{url}/api/v1/scores.parquet")
    found["scores.parquet, made (s)"] = round(time.perf_counter() - began, 2)
    found["greatest memory (MB)"] = memory(process, "VmHWM")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=683)
    parser.add_argument("--benchmarks", type=int, default=270)
    parser.add_argument("--visitors", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        try:
            secret = server.start()
            database = Database(DatabaseSecret.model_validate(secret))
            upgrade(database)
            fill(database, models=chosen.models, benchmarks=chosen.benchmarks)
            found: dict[str, Any] = {"models": chosen.models, "benchmarks": chosen.benchmarks}
            with database.session() as session:
                found["scores"] = session.execute(text("SELECT count(*) FROM brainscore_score")).scalar()
                found["whether anything changed (s)"] = seconds(lambda: scores_revision(session))
            found["leaderboard computed (s)"] = seconds(lambda: leaderboard(database, domain=DOMAIN), 3)

            def peer() -> object:
                with database.engine.connect() as connection:
                    table = pd.read_sql(text(PEER), connection)
                return table.set_index(["model_id", "benchmark_id"])["value"].unstack()  # noqa: PD010 - it is quicker

            found["pandas reads and pivots the same (s)"] = seconds(peer, 3)
            found["ratio"] = round(found["leaderboard computed (s)"] / found["pandas reads and pivots the same (s)"], 2)

            (folder / "params").mkdir()
            (folder / "notebooks").symlink_to(ROOT / "notebooks")
            settings = yaml.safe_load((ROOT / "params" / "local.yaml").read_text())
            settings["library"]["domain"] = DOMAIN
            (folder / "params" / "local.yaml").write_text(yaml.safe_dump(settings))
            state = folder / "state" / "local"
            state.mkdir(parents=True)
            (state / "secrets.json").touch(mode=0o600)
            (state / "secrets.json").write_text(json.dumps({"local/database": secret}))
            environment = {
                **os.environ,
                "BRAINSCORE_OPS_WORKSPACE": str(folder),
                "BRAINSCORE_OPS_STATE": str(folder / "state"),
                "BRAINSCORE_OPS_OUTPUTS": str(folder / "outputs"),
            }
            port = free_port()
            command = [str(Path(sys.executable).parent / "brainscore-ops"), "serve", "--port", str(port)]
            with (
                (folder / "log").open("wb") as log,
                subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
            ):
                try:
                    url = f"http://127.0.0.1:{port}"
                    while process.poll() is None:
                        try:
                            fetch(f"{url}/sign-in")
                            break
                        except OSError:
                            time.sleep(0.2)
                    found["site"] = measure_site(url, process.pid, chosen.visitors)
                finally:
                    process.terminate()
            library = load_deployment("local", Workspace(folder, folder / "state", folder / "outputs")).library
            began = time.perf_counter()
            published = write_site(database, folder / "public" / "site", library=library)
            found["published"] = {
                "seconds": round(time.perf_counter() - began, 1),
                "files": published.files,
                "MB": round(
                    sum(p.stat().st_size for p in published.page.resolve().parent.rglob("*") if p.is_file()) / 1e6, 1
                ),
            }
            database.close()
        finally:
            server.destroy()
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
