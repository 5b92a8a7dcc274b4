"""Who may import whom: downwards only, and the light half without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the lowest to the highest; a module may import from its own folder and from those before it.
LAYERS = (
    "errors",
    "wording",
    "storage",
    "containers",
    "contract",
    "formats",
    "plots",
    "bundle",
    "signing",
    "hub",
    "data",
    "sessions",
    "decoding",
    "families",
    "writing",
    "batch",
    "parity",
    "reading",
    "models",
    "hoisting",
    "importers",
    "training",
    "export",
    "bench",
    "testing",
    "cli",
)
HEAVY = {"torch", "onnx", "onnxscript", "coremltools", "matplotlib", "ai_edge_litert"}
LIGHT = {*LAYERS[: LAYERS.index("models")], "bench"}
# Reached only through the format table, so they may import what is heavy.
THROUGH_THE_TABLE = (
    "sessions/torchscript/",
    "sessions/torch_kernels.py",
    "sessions/coreml.py",
    "sessions/mil/",
    "parity/structure/torchscript.py",
    "parity/structure/torchscript_rules.py",
    "parity/structure/mil",
)
ORDER = {part: index for index, part in enumerate(LAYERS)}


def _modules() -> list[tuple[str, Path]]:
    package = [
        (path.relative_to(ROOT / "edgernn").as_posix(), path)
        for path in (ROOT / "edgernn").rglob("*.py")
    ]
    exporters = [
        (path.relative_to(ROOT).as_posix(), path) for path in (ROOT / "export").rglob("*.py")
    ]
    return package + exporters


def _imports(path: Path, *, in_functions: bool) -> set[str]:
    """Names that a module imports, not for type checkers only; those of its functions if asked."""
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
        elif in_functions or not isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        ):
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
    for imported in _imports(path, in_functions=True):
        top, *rest = imported.split(".")
        if top == "edgernn" and rest and rest[0] in ORDER:
            assert ORDER[rest[0]] <= ORDER[part], f"{name} imports {imported}, which is above it"
    if part in LIGHT and not name.startswith(THROUGH_THE_TABLE):
        heavy = {name.split(".")[0] for name in _imports(path, in_functions=False)} & HEAVY
        assert not heavy, f"{name} is of the light half and imports {', '.join(heavy)}"


def test_no_modules_of_a_folder_import_each_other_in_a_circle() -> None:
    names = {_dotted(name): path for name, path in _modules() if not name.endswith("__init__.py")}
    edges = {
        name: {target for found in _imports(path, in_functions=True) for target in _targets(found)}
        & names.keys() - {name}
        for name, path in names.items()
    }
    while free := [name for name, needed in edges.items() if not needed & edges.keys()]:
        for name in free:
            del edges[name]
    assert not edges, f"a circle among {', '.join(sorted(edges))}"


def _dotted(name: str) -> str:
    return "edgernn." + name.removesuffix(".py").replace("/", ".")


def _targets(imported: str) -> tuple[str, str]:
    return imported, imported.rsplit(".", 1)[0]


def test_only_the_ground_is_flat() -> None:
    flat = {path.stem for path in (ROOT / "edgernn").glob("*.py")}
    assert flat == {"__init__", "__main__", "errors", "storage", "wording"} - {"storage"}


def test_a_help_text_waits_for_no_contract() -> None:
    assert not _loaded_after("import edgernn.cli.app") & {"pydantic", "numpy"}


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
        "import edgernn.writing.text",
        "import edgernn.writing.captions",
        "import edgernn.parity.verify",
        "import edgernn.bench",
        "import edgernn.sessions.opening, edgernn.sessions.ort.step, edgernn.sessions.fake",
        "import edgernn.importers.recognising as asked; asked.importers()",  # whose a file is
        "import importlib; from edgernn.containers.table import CONTAINERS as rows; "
        "[importlib.import_module(row.reader.partition(':')[0]) for row in rows]",
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
