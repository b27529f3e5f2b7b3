"""What each hostile input does to a supervised service, and to a healthy feed and channel beside it.

    python -m benchmarks.supervised [--only TEXT …] [--seconds 20] [--json benchmarks/results/supervised.json]

The real service runs under a supervisor that does what the unit file asks of systemd (watchdog, a limit of 1 GiB,
restart), with one case of tests/acceptance/hostile_cases.py at a time. A case passes where nothing was killed, the
healthy alerts arrived in time, /healthz answered within a second, SIGTERM was obeyed within 12 s, and a readable
message names the culprit where there is one.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.acceptance.hostile_cases import CASES, SECONDS
from tests.acceptance.supervisor import WATCHDOG_S, Outcome, trial

HEAD = f"{'case':38} {'deaths':>6} {'alert s':>8} {'healthz s':>9} {'peak MB':>8} {'stop s':>7}  verdict"


def line(outcome: Outcome) -> str:
    verdict = "passed" if outcome.passed else "; ".join(outcome.faults)
    return (
        f"{outcome.case:38.38} {len(outcome.deaths):6} {outcome.delay_s:8.1f} {outcome.healthz_s:9.2f}"
        f" {outcome.peak_mb:8.0f} {outcome.stop_s:7.1f}  {verdict}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="cases whose name contains one of these")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each case lasts, unless it needs longer")
    parser.add_argument("--watchdog", type=float, default=WATCHDOG_S, help="seconds")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    outcomes = []
    print(HEAD, flush=True)
    for name, case in CASES.items():
        if wanted.only and not any(text in name for text in wanted.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            seconds = max(wanted.seconds, SECONDS.get(name, 0.0))
            outcomes.append(trial(name, case, Path(folder), seconds=seconds, watchdog_s=wanted.watchdog))
        print(line(outcomes[-1]), flush=True)
        if outcomes[-1].named not in ("", "-"):
            print(f"{'':38} named by: {outcomes[-1].named}", flush=True)
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"{len(outcomes) - failed} of {len(outcomes)} passed")
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
