"""Loads nine months of Online Retail twice and checks every figure: `check_full_demo.py online-retail.csv.gz`.

The file is too large to ship: 320,705 rows, 2010-12-01 to 2011-08-31, of https://doi.org/10.24432/C5BW33.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXPECTED: dict[str, Any] = {
    "rows": 320_705,
    "invoices": 16_459,
    "orders": 12_166,
    "credit_notes": 2_554,
    "revenue": "6292012.922",
    "credited": "520770.56",
    "rejected": {"minimum-order": 811, "quantity-not-positive": 925, "not-a-sale": 3},
    "views": {
        "OrderSummary": 12_166,
        "CreditNote": 2_554,
        "CustomerHistory": 3_356,
        "ProductSales": 3_625,
        "DailySales": 1_145,
    },
    "reconciled": True,
}
ROWS_BY_OUTCOME = {"ordered": 312_910, "credited": 5_847}
PACE = ("seconds", "commands_per_second", "events_per_second")


def report(data: str, store: str) -> dict[str, Any]:
    """One run's report."""
    words = [sys.executable, "-m", "diptych", "demo", "--data", data, "--store", store, "--json", "--no-serve"]
    ran = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def wrong(found: dict[str, Any]) -> list[str]:
    """The figures of a report that are not as they must be."""
    checked = {key: found.get(key) for key in EXPECTED}
    problems = [f"{key}: {checked[key]!r}, not {value!r}" for key, value in EXPECTED.items() if checked[key] != value]
    rows = found["rows_by_outcome"]
    problems += [
        f"{key} rows: {rows[key]}, not {value}" for key, value in ROWS_BY_OUTCOME.items() if rows[key] != value
    ]
    if sum(ROWS_BY_OUTCOME.values()) + sum(rows["rejected"].values()) != EXPECTED["rows"]:
        problems.append(f"rows of all outcomes do not add up: {rows}")
    return problems


def main(data: str) -> int:
    """Loads twice into one store; the second time must tell the same."""
    with tempfile.TemporaryDirectory(prefix="diptych-") as folder:
        store = f"sqlite:///{Path(folder) / 'shop.db'}"
        first, second = report(data, store), report(data, store)
    print(json.dumps(first, indent=2))
    print("again:", {key: second[key] for key in PACE})
    problems = wrong(first) + [
        f"the second time, {key} is {second[key]!r}" for key in first if key not in PACE and second[key] != first[key]
    ]
    for problem in problems:
        print("WRONG:", problem)
    print("All figures are right." if not problems else f"{len(problems)} figures are wrong.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
