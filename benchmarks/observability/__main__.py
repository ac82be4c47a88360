"""`python -m benchmarks.observability append|spool|outage|cost`: see README.md."""

from __future__ import annotations

import argparse
import json

from benchmarks.observability import append, cost, outage, spool


def main() -> None:
    """Measure one, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    words = parser.add_subparsers(dest="what", required=True)
    of_append = words.add_parser("append", help="processor time of a record of the audit trail")
    of_append.add_argument("--records", type=int, default=20_000)
    of_append.add_argument("--rounds", type=int, default=5)
    of_spool = words.add_parser("spool", help="lines that wait while the SIEM is away, and leave when it is back")
    of_spool.add_argument("--lines", type=int, default=100_000)
    of_spool.add_argument("--form", default="ecs", choices=["ecs", "ocsf"])
    of_spool.add_argument("--kills", type=int, default=0, help="how often rsyslog is killed meanwhile")
    of_outage = words.add_parser("outage", help="a SIEM that is away from a PC of the lab, as it is deployed")
    of_outage.add_argument("--lines", type=int, default=100_000)
    of_outage.add_argument("--minutes", type=float, default=10)
    of_cost = words.add_parser("cost", help="processor time and memory on a PC of the lab")
    of_cost.add_argument("--seconds", type=int, default=60, help="of each window; four of them in a round")
    of_cost.add_argument("--rounds", type=int, default=3)
    of_cost.add_argument("--rate", type=int, default=50, help="requests per second")
    given = parser.parse_args()
    if given.what == "spool":
        found: dict[str, object] = {**spool.measure(given.lines, given.form, given.kills)}
    elif given.what == "append":
        found = {**append.measure(given.records, given.rounds)}
    elif given.what == "outage":
        found = {**outage.measure(given.lines, given.minutes)}
    else:
        found = cost.measure(given.seconds, given.rounds, given.rate)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
