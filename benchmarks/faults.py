"""Whether verify catches what goes wrong, and only that: python benchmarks/faults.py

Applies every fault to an honest bundle and shows which check says what; then verifies honest
exports of every cell, depth, token kind and format, of which none may fail. Ends with 1 if a fault
is not caught or an honest export fails.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import faults_answerer
import faults_bundle
import faults_c
import faults_captioner
import faults_cells
import faults_coreml
import faults_decoders
import faults_figures
import faults_labels
import faults_memory
import faults_module
import faults_onnx_integers
import faults_onnx_interface
import faults_onnx_weights
import faults_onnx_wiring
import faults_pictures
import faults_portable
import faults_rare
import faults_stacks
import faults_structure
import faults_structure_encoders
import faults_structure_scripts
import faults_torchscript
import faults_translator
from _faulty import Fault, Verdict, Workshop
from _faulty_bundles import RECIPES, Recipe, low, make_bundle, portable
from _report import table

from edgernn.families.captioner import CONDITIONINGS
from edgernn.models.cells.table import CELLS
from edgernn.parity.verify import verify_bundle

_MODULES = (
    faults_onnx_weights,
    faults_cells,
    faults_stacks,
    faults_onnx_wiring,
    faults_onnx_interface,
    faults_onnx_integers,
    faults_portable,
    faults_bundle,
    faults_torchscript,
    faults_structure,
    faults_structure_scripts,
    faults_structure_encoders,
    faults_labels,
    faults_coreml,
    faults_pictures,
    faults_captioner,
    faults_translator,
    faults_answerer,
    faults_memory,
    faults_decoders,
    faults_rare,
    faults_figures,
    faults_module,
    faults_c,
)
_BY_EXTRA = {
    "ncnn": "faults_ncnn",
    "openvino": "faults_openvino",
}  # package → the faults of what it runs, where it is here
_EXTRA = [import_module(name) for package, name in _BY_EXTRA.items() if find_spec(package)]
FAULTS: dict[str, Fault] = {
    fault.name: fault for module in (*_MODULES, *_EXTRA) for fault in module.FAULTS
}
HONEST_STEPS = 128
_BOTH = ("onnx", "torchscript")
_NOT_CAUGHT = {
    "missed": "NOT CAUGHT",
    "mute": "CAUGHT, CAUSE NOT NAMED",
    "crashed": "VERIFY BROKE OFF",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        verdicts = judge_all(Workshop(Path(scratch)))
        exports, alarms = 0, []
        for name, recipe in honest_matrix():
            files, found = false_alarms(recipe, Path(scratch) / "honest")
            exports, alarms = exports + files, alarms + [f"{name}: {line}" for line in found]
    rows = [
        (name, ", ".join(v.caught_by) or v.outcome, _cell(v.message))
        for name, v in verdicts.items()
    ]
    table(("fault", "caught by", "message"), rows)
    counts = Counter(verdict.outcome for verdict in verdicts.values())
    judged = len(verdicts) - counts["not judged"]
    for name, verdict in verdicts.items():
        if verdict.outcome in _NOT_CAUGHT:
            print(
                f"{_NOT_CAUGHT[verdict.outcome]}: {name} ({FAULTS[name].awaits or verdict.message})"
            )
    for line in alarms:
        print(f"FALSE ALARM: {line}")
    print(
        f"{counts['caught']} of {judged} faults caught, {len(alarms)} false alarms in "
        f"{exports} honest exports",
        end="",
    )
    print(
        f"; {counts['not judged']} faults could not be judged on this machine"
        if counts["not judged"]
        else ""
    )
    raise SystemExit(1 if alarms or any(counts[outcome] for outcome in _NOT_CAUGHT) else 0)


def judge_all(workshop: Workshop) -> dict[str, Verdict]:
    return {name: workshop.judge(fault) for name, fault in FAULTS.items()}


def honest_matrix() -> Iterator[tuple[str, Recipe]]:
    """Yield every cell at every depth, two sizes each, the token kinds in turn; what is rounded;
    captioners; what is special about a model.
    """
    yield from _cells()
    yield from _rounded()
    yield from _compiled()
    yield from _captioners()
    yield from _special()
    yield from faults_stacks.honest()
    if find_spec("openvino"):
        yield from _openvino()
    if find_spec("ncnn"):
        yield from import_module("faults_ncnn").honest()


def _openvino() -> Iterator[tuple[str, Recipe]]:
    to = ("openvino", "openvino-stateful")
    for cell in CELLS:
        model = {"cell": cell, "layers": 2, "hidden": 33}
        options = low("float32", "float16", "int8", "int4")
        yield f"{cell} openvino", Recipe(model, to=to, options=options)
    for cell in ("lstm", "gru"):
        model = {"cell": cell, "learned_initial_state": True}
        yield f"{cell} openvino learned", Recipe(model, to=to)
    for conditioning in CONDITIONINGS:
        recipe = Recipe({"conditioning": conditioning}, to=to, kind="caption")
        yield f"captioner {conditioning} openvino", recipe


def _cells() -> Iterator[tuple[str, Recipe]]:
    kinds = ("char", "byte", "word", "bpe")
    place = 0
    for cell in CELLS:
        for layers in (1, 2, 3):
            for hidden in ((8, 48), (16, 128), (32, 256))[layers - 1]:
                kind = kinds[place % len(kinds)]
                place += 1
                model = {"cell": cell, "layers": layers, "hidden": hidden}
                recipe = Recipe(model, to=_BOTH, kind=kind)
                yield f"{cell} {layers}x{hidden} {kind}", recipe


def _rounded() -> Iterator[tuple[str, Recipe]]:
    for cell in CELLS:
        for hidden in (16, 33, 128):
            model = {"cell": cell, "layers": 2, "hidden": hidden}
            yield f"{cell} {hidden} reduced", Recipe(model, options=low("float16", "int8", "int4"))
            options = portable("float32", "float16", "int8")
            yield f"{cell} {hidden} portable", Recipe(model, options=options)
        model = {"cell": cell, "layers": 2, "hidden": 16}
        options = low("int8", "int4", "palettized4")
        yield f"{cell} coreml reduced", Recipe(model, to=("coreml",), options=options)
    for cell in CELLS:
        model = {"cell": cell, "layers": 2, "hidden": 16}
        options = {"precision": ["float16", "float32"]}
        yield f"{cell} coreml", Recipe(model, to=("coreml",), options=options)


def _compiled() -> Iterator[tuple[str, Recipe]]:
    precisions = ("float32", "int8", "int4", "w8a8", "w8a7", "w4a8")
    options = {**low(*precisions), "decoding": False, "target": "literals"}
    for cell in CELLS:
        model = {"cell": cell, "layers": 2, "hidden": 33}
        yield f"{cell} compiled", Recipe(model, to=("c",), options=options)
    model = {"conditioning": "soft-attention"}
    yield "captioner compiled", Recipe(model, to=("c",), kind="caption", options=options)


def _captioners() -> Iterator[tuple[str, Recipe]]:
    for conditioning in CONDITIONINGS:
        for cell in ("lstm", "gru"):
            model = {"conditioning": conditioning, "cell": cell, "layers": 1 + (cell == "gru")}
            recipe = Recipe(model, to=(*_BOTH, "coreml"), kind="caption")
            yield f"captioner {conditioning} {cell}", recipe
    yield (
        "captioner reduced",
        Recipe({"conditioning": "soft-attention"}, kind="caption", options=low("int8", "int4")),
    )


def _special() -> Iterator[tuple[str, Recipe]]:
    for cell in CELLS:
        for hidden in (1, 7, 65):
            model = {"cell": cell, "layers": 1 + hidden % 2, "hidden": hidden}
            yield f"{cell} {hidden} odd", Recipe(model, to=_BOTH)
        yield f"{cell} learned", Recipe({"cell": cell, "learned_initial_state": True}, to=_BOTH)
        yield f"{cell} tied", Recipe({"cell": cell, "tied": True}, to=_BOTH)
        in_graph = {"decoding": True, "precision": "float32"}
        yield f"{cell} decoding", Recipe({"cell": cell}, options=in_graph)
    yield "rnn 257", Recipe({"cell": "rnn", "layers": 2, "hidden": 257}, to=_BOTH)
    yield "one token", Recipe({"cell": "gru"}, to=_BOTH, text="a" * 99)
    for name in ("decoding", "caption decoding", "many words", "many words release"):
        yield name, RECIPES[name]
    yield "tied", Recipe({"cell": "gru", "tied": True}, to=_BOTH)
    for name in ("learned", "release", "wide", "module"):
        yield name, RECIPES[name]


def false_alarms(
    recipe: Recipe, folder: Path, *, steps: int = HONEST_STEPS
) -> tuple[int, list[str]]:
    """Export and verify; return how many files there were, and what verify wrongly said against
    each.
    """
    make_bundle(recipe, folder)
    report = verify_bundle(folder, steps=steps)
    failed = [
        (entry.path, check)
        for entry in report.artifacts
        for check in entry.checks
        if check.status == "failed"
    ]
    return len(report.artifacts), [f"{path} {check.name}: {check.detail}" for path, check in failed]


def _cell(message: str) -> str:
    return " ".join(message.replace("|", "/").split())[:160]


if __name__ == "__main__":
    main()
