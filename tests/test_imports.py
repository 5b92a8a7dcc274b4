"""Who may import whom: downwards only, and the light half without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the lowest to the highest; a module may import from its own layer and from those before it.
LAYERS = (
    ("errors", "side_files", "strict_json", "proto_head", "shell"),
    ("inner_paths",),
    ("owner", "storage", "installed", "wanted"),
    ("tensor_files", "foreign_files"),
    ("identify", "array_files"),
    (
        "contract_rules",
        "interface",
        "stored_weights",
        "formats",
        "random_numbers",
        "nats",
        "tolerances",
        "plots",
    ),
    ("contract",),
    ("model_contracts", "decoding_graphs", "held_out"),
    ("manifest",),
    ("bundle", "data"),
    ("sessions",),
    ("decoding",),
    ("parity",),
    ("bench", "bench_alone", "bench_course", "bench_machine", "bench_report"),
    ("models",),
    ("importers", "training"),
    ("export",),
    ("cli", "pytest_plugin"),
)
HEAVY = {"torch", "onnx", "onnxscript", "coremltools", "matplotlib"}
# Reached only through the format table, so they may import what is heavy and what is above them.
THROUGH_THE_TABLE = {
    "sessions/eager.py",
    "sessions/torchscript.py",
    "sessions/torchscript_archive.py",
    "sessions/torchscript_reading.py",
    "sessions/torch_kernels.py",
    "sessions/coreml.py",
}
THROUGH_THE_TABLE |= {"parity/structure_torchscript.py", "parity/torchscript_rules.py"}
THROUGH_THE_TABLE |= {
    path.relative_to(ROOT / "edgernn").as_posix()
    for path in (ROOT / "edgernn" / "parity").glob("mil*.py")
}
LIGHT = {part for layer in LAYERS[:14] for part in layer}
ORDER = {part: index for index, layer in enumerate(LAYERS) for part in layer}


def _modules() -> list[tuple[str, Path]]:
    package = [
        (path.relative_to(ROOT / "edgernn").as_posix(), path)
        for path in (ROOT / "edgernn").rglob("*.py")
    ]
    return package + [(f"export/{path.name}", path) for path in (ROOT / "export").glob("*.py")]


def _imports(path: Path) -> set[str]:
    """Names imported when the module is imported: not inside functions, not for type checkers
    only.
    """
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += list(ast.iter_child_nodes(node))
    return found


def _part(name: str) -> str:
    return name.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("name", "path"), _modules(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_imports_go_downwards(name: str, path: Path) -> None:
    part = _part(name)
    if part in {"__init__", "__main__"}:
        return
    assert part in ORDER, f"{name} is in no layer"
    for imported in _imports(path):
        top, *rest = imported.split(".")
        if top == "edgernn" and rest and rest[0] in ORDER and name not in THROUGH_THE_TABLE:
            assert ORDER[rest[0]] <= ORDER[part], (
                f"{name} imports {imported}, which stands above it"
            )
        if part in LIGHT and name not in THROUGH_THE_TABLE:
            assert top not in HEAVY, f"{name} is of the light half and imports {top}"


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import edgernn",
        "import edgernn.cli.app",
        "import edgernn.decoding.writer",
        "import edgernn.decoding.caption_writer",
        "import edgernn.parity.verify",
        "import edgernn.bench",
        "import edgernn.sessions.opening, edgernn.sessions.ort, edgernn.sessions.fake",
    ],
)
def test_the_light_half_loads_nothing_heavy(code: str) -> None:
    assert not _loaded_after(code) & HEAVY


def test_the_command_line_starts_without_its_workers() -> None:
    assert not _loaded_after("import edgernn.cli.app") & {"onnxruntime", "numpy", "tokenizers"}


def test_public_names_are_lazy_and_there() -> None:
    import edgernn
    import edgernn.export

    assert callable(edgernn.load)
    assert callable(edgernn.verify_bundle)
    assert callable(edgernn.open_session)
    assert callable(edgernn.export.export_bundle)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgernn.nothing
