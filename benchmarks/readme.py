"""Put the table of a run into the README: `python -m benchmarks.readme FILE`, FILE from `--json`."""

import argparse
import json
from pathlib import Path

from benchmarks.report import Result, amount

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"


def markdown(document: dict) -> str:
    """The rows of a run as a Markdown table, below a line about the machine."""
    machine = f"{document['processor']}, {document['threads']} threads"
    lines = [
        f"{machine}, Python {document['python']}, PyTorch {document['versions']['torch']}:",
        "",
        "| | workload | reference | Pellucid | ratio | bar |",
        "|---|---|---:|---:|---:|---:|",
    ]
    group = ""
    for row in document["rows"]:
        result = Result(**row)
        shown = "" if result.group == group else result.group
        group = result.group
        cells = (
            shown,
            result.name if result.passed else f"{result.name} (missed)",
            amount(result.reference, result.unit),
            amount(result.pellucid, result.unit),
            result.shown_ratio(),
            result.bar,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [part for note in document["notes"] for part in ("", note + ".")]
    return "\n".join(lines)


def main() -> None:
    """Replace what stands between the README's two marks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.add_argument("file", type=Path, help="what --json wrote")
    document = json.loads(parser.parse_args().file.read_text())
    before, rest = README.read_text().split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{markdown(document)}\n{END}{after}")


if __name__ == "__main__":
    main()
