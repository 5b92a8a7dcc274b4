"""Draw how far an ONNX file is from the reference at each of 64 chained steps, whole and broken.

    python benchmarks/drift.py runs/docs benchmarks/pictures/drift.svg

Exports the checkpoint and verifies it; then verifies copies with one fault each. The picture is the
one at the head of the README: a file whose states are swapped is right at the first call.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from faults_onnx_weights import FAULTS as OF_WEIGHTS
from faults_onnx_wiring import FAULTS as OF_WIRING

from edgernn import storage
from edgernn.export import export_bundle
from edgernn.parity.report.svg import line_class, plot
from edgernn.parity.verify import verify_bundle

_STEPS = 64
_FAULTS = {
    "h and c come out swapped": "h_next and c_next swapped",
    "one weight block 1 % off": "one block of recurrent weights 1 % too large",
}
_STYLE = """
svg { background: #fff; } text { font: 11px system-ui, sans-serif; fill: #57606b; }
.grid { stroke: #d9dee4; } .axis { stroke: #57606b; } .line { fill: none; stroke-width: 1.4; }
.limit { stroke: #b3201f; stroke-width: 1.5; stroke-dasharray: 5 4; }
.limit-text { fill: #b3201f; }
.line-0 { stroke: #0a62c2; } .line-1 { stroke: #c2540a; } .line-2 { stroke: #8a45b5; }
"""
_HEAD, _LEGEND, _ROW = 230, 12, 16  # px: the plot's own height, the space above a legend, a row


def curve(folder: Path) -> tuple[list[float], str]:
    """Return the scaled difference of the logits at each step, and whether the file passed."""
    (artifact,) = verify_bundle(folder, to="onnx", steps=_STEPS).artifacts
    rollout = next(check for check in artifact.checks if check.name == "rollout")
    return list(rollout.curves["logits"]), "passed" if artifact.passed else "FAILED"


def picture(lines: dict[str, list[float]]) -> str:
    """Return a whole SVG file: the plot, its style and a legend."""
    drawn = plot(lines, tolerance=1e-4, title="Logits against the reference", identifier="drift")
    height = _HEAD + _LEGEND + _ROW * len(lines)
    rows = [
        f'<line class="{line_class(at)}" x1="40" x2="64" y1="{y - 4}" y2="{y - 4}"/>'
        f'<text x="72" y="{y}">{name}</text>'
        for at, name in enumerate(lines)
        for y in [_HEAD + _LEGEND + _ROW * at + 8]
    ]
    label = drawn[drawn.index('<text class="limit-text"') :].split("</text>")[0] + "</text>"
    rows.append(label.replace("<text", '<text transform="translate(0 18)"'))  # where no curve is
    drawn = drawn.replace(label, "").replace(
        f'viewBox="0 0 460 {_HEAD}"',
        f'xmlns="http://www.w3.org/2000/svg" width="690" viewBox="0 0 460 {height}"',
    )
    return drawn.replace("</svg>", f"<style>{_STYLE}</style>{''.join(rows)}</svg>\n")


def main() -> None:
    source, out = map(Path, sys.argv[1:])
    faults = {fault.name: fault for fault in (*OF_WIRING, *OF_WEIGHTS)}
    lines = {}
    with storage.scratch() as scratch:
        export_bundle(source, scratch / "honest", to="onnx")
        drawn, verdict = curve(scratch / "honest")
        lines[f"step.onnx as exported: {verdict}"] = drawn
        for number, (fault, name) in enumerate(_FAULTS.items()):
            copy = scratch / str(number)
            shutil.copytree(scratch / "honest", copy)
            faults[fault].apply(copy)
            drawn, verdict = curve(copy)
            lines[f"{name}: {verdict}"] = drawn
    storage.write_bytes(out, picture(lines).encode())


if __name__ == "__main__":
    main()
