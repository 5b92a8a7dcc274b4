"""Runs files in one foreign runtime, in that runtime's own environment, without edgernn:

    python _elsewhere_child.py ROW.py NAME FOLDER …

Each FOLDER is a case of ``_elsewhere_cases.py``. For each, a line of JSON behind ``MARK`` when it
begins, and one when it ends: what was written, or why not.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
sys.path.append(str(Path(__file__).parent))  # last: a benchmark may have a package's name

import numpy as np  # noqa: E402
from _elsewhere import Runtime, row_module  # noqa: E402

MARK = "@@ "
PLACES = "Exception from |^Check .* failed at|^Traceback|^File "


class OtherShapeError(Exception):
    """A runtime gave more values than native onnxruntime, or fewer."""


def main() -> None:
    row, name, *folders = sys.argv[1:]
    module = row_module(Path(row))
    runtime = next(runtime for runtime in module.RUNTIMES if runtime.name == name)
    for folder in folders:
        tell({"case": folder, "event": "begins"})
        try:
            fixed = outcome(module, runtime, Path(folder))
        except OtherShapeError:
            tell({"case": folder, "event": "other shape"})
        except Exception as error:  # noqa: BLE001 - whatever a foreign runtime raises
            tell(
                {
                    "case": folder,
                    "event": "refused",
                    "line": getattr(module, "line", line_of)(error),
                }
            )
        else:
            tell({"case": folder, "event": "ran", "fixed": fixed})


def outcome(module: Any, runtime: Runtime, folder: Path) -> bool:
    """Write what the runtime computes; return whether the sizes had to be fixed for that. Where
    that does not help, what it said of the file as it is is raised.
    """
    case = json.loads((folder / "case.json").read_text())

    def write(model: str) -> None:
        run = module.prepare(runtime.name, str(folder / model), case)
        (folder / f"{runtime.name}.bin").write_bytes(computed(run, case, folder))

    try:
        write("model.onnx")
    except Exception as error:
        if not runtime.fixes:
            raise
        first = error
    else:
        return False
    try:
        write("fixed.onnx")
    except Exception:  # noqa: BLE001
        raise first from None
    return True


def computed(run: Any, case: dict[str, Any], folder: Path) -> bytes:
    """Return the outputs of every call, the states fed back, in the order of the case."""
    data, at, made = (folder / "feeds.bin").read_bytes(), 0, []
    state = {each["name"]: np.zeros(each["shape"], each["dtype"]) for each in case["states"]}
    for _ in range(case["calls"]):
        feeds = {}
        for each in case["feeds"]:
            count = int(np.prod(each["shape"]))
            feeds[each["name"]] = np.frombuffer(data, each["dtype"], count, at).reshape(
                each["shape"]
            )
            at += feeds[each["name"]].nbytes
        found = run({name: {**feeds, **state}[name] for name in case["inputs"]})
        for each in case["outputs"]:
            value = np.array(found[each["name"]], each["dtype"])  # a copy: buffers are used again
            if value.size != int(np.prod(each["shape"])):
                raise OtherShapeError(each["name"])
            value = value.reshape(each["shape"])
            made.append(value.tobytes())
            if each["name"].endswith("_next"):
                state[each["name"].removesuffix("_next")] = value
    return b"".join(made)


def line_of(error: BaseException) -> str:
    """Return the line of an error that says most: the first that says error, else the first that
    does not merely tell where in the runtime's own text it arose.
    """
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not re.search(PLACES, line)] or lines
    return next((line for line in telling if "error: " in line), telling[0])[:2000]


def tell(what: dict[str, Any]) -> None:
    """Print one event on a line of its own, whatever the runtime printed before it."""
    print(f"\n{MARK}{json.dumps(what)}", flush=True)


if __name__ == "__main__":
    main()
