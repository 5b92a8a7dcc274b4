"""The rows of the table of hosts, the C example compiled with and without sanitizers, and the
bundles that they are tried on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from c_drivers import LIBRARY_DRIVER, PARTS_DRIVER
from c_program import FLAGS, LOOSE, C, c_environment
from compiled_bundles import export_in_c, export_integers
from compiling import alone
from go_host import go_parts, go_programs
from hosts import (
    FOREIGN,
    HOSTS,
    Command,
    Host,
    compile_cpp,
    compile_kotlin,
    kotlin_server,
    python_server,
)
from library_drivers import CPP
from rust_host import rust_build, rust_driver, rust_program
from servers import Server

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel

# fixtures of their own files
__all__ = ["go_parts", "go_programs", "rust_build", "rust_driver", "rust_program"]


@pytest.fixture(scope="module", params=HOSTS, ids=lambda host: host.name)
def host(request: pytest.FixtureRequest) -> Host:
    """One row of the table of hosts."""
    row: Host = request.param
    return row


@pytest.fixture(scope="module")
def command(host: Host, request: pytest.FixtureRequest) -> Command:
    """The host, ready to be started."""
    return host.start(request)


@pytest.fixture(scope="module")
def as_library(host: Host, request: pytest.FixtureRequest) -> Command:
    """The host as a library."""
    return host.library(request)


@pytest.fixture
def copy(text: Path, tmp_path: Path) -> Path:
    """A copy of the bundle of the tiny LSTM, to be changed."""
    shutil.copytree(text, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="session")
def library() -> Path:
    """The shared library of the installed onnxruntime."""
    found = importlib.util.find_spec("onnxruntime")
    assert found is not None
    assert found.origin is not None
    libraries = sorted((Path(found.origin).parent / "capi").glob("libonnxruntime.so*"))
    if not libraries:
        pytest.skip("needs libonnxruntime.so, which this onnxruntime package does not have")
    return libraries[-1]


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is compiled once, whichever process of the tests needs it first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "compiled-once"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def build(common: Path) -> Path:
    """A folder with both builds."""
    for tool in ("gcc", "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    out = common / "c"
    command = ["make", "-s", "-C", str(C), "CC=gcc", f"OUT={out}"]
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with alone(out):  # make knows what is built
        out.mkdir(exist_ok=True)
        builds = [subprocess.Popen([*command, *extra], **given) for extra in ([], ["SANITIZE=1"])]
        for made in builds:  # both at once
            assert (*made.communicate(timeout=240), made.returncode) == ("", "", 0)
    return out


@pytest.fixture(scope="session")
def program(build: Path, library: Path) -> Command:
    """The example as it is shipped."""
    return Command((str(build / "edgernn"),), c_environment(library))


@pytest.fixture(scope="session")
def sanitized(build: Path, library: Path) -> Command:
    """The example with sanitizers."""
    return Command((str(build / "edgernn-sanitized"),), c_environment(library))


@pytest.fixture(scope="session")
def cpp_model(common: Path) -> Path:
    """The C++ example's part that knows ONNX Runtime, compiled."""
    return compile_cpp(common / "model.o", "-O1", "-Itests/stand_in", "-c", "model.cpp")


@pytest.fixture(scope="session")
def cpp_program(cpp_model: Path, library: Path) -> Command:
    """The C++ example, made with the stand-in for ONNX Runtime's header."""
    target = cpp_model.parent / "edgernn_run"
    program = compile_cpp(target, "-O1", "-Itests/stand_in", "main.cpp", str(cpp_model), "-ldl")
    return Command((str(program),), {"ONNXRUNTIME_LIBRARY": str(library)})


@pytest.fixture(scope="session")
def cpp_library(
    cpp_model: Path, library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """A program that uses the C++ example as a library."""
    source = tmp_path_factory.mktemp("cpp") / "library.cpp"
    source.write_text(CPP, "utf-8")
    target = cpp_model.parent / "cpp-library"
    compile_cpp(target, "-Itests/stand_in", "-I.", str(source), str(cpp_model), "-ldl")
    return Command((str(target),), {"ONNXRUNTIME_LIBRARY": str(library)})


@pytest.fixture(scope="session")
def cpp_parts(common: Path) -> Command:
    """The test program of all in C++ but the file that knows the runtime, under sanitizers."""
    sanitize = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover")
    return Command((str(compile_cpp(common / "unit", *sanitize, "tests/unit.cpp")),))


def _driver(build: Path, archive: Path, name: str, source: str) -> Path:
    """Compile a program around the C example, with sanitizers."""
    target = build / name
    with alone(target) as missing:
        if missing:
            target.with_suffix(".c").write_text(source, "utf-8")
            words = ["-I", str(C), f"{name}.c", str(archive), "-ldl", "-lm", "-o", name]
            subprocess.run(["gcc", *FLAGS, *words], check=True, timeout=120, cwd=build)
    return target


@pytest.fixture(scope="session")
def c_parts(build: Path, archive: Path) -> Command:
    """A program around the sampler and the tokenizer of the C example, with sanitizers."""
    return Command((str(_driver(build, archive, "parts", PARTS_DRIVER)),))


@pytest.fixture(scope="session")
def c_library(build: Path, archive: Path, library: Path) -> Command:
    """A program that uses the C example as a library, with sanitizers."""
    words = (str(_driver(build, archive, "library", LIBRARY_DRIVER)),)
    return Command(words, c_environment(library), last=(str(library),))


@pytest.fixture(scope="session")
def compiled_bundles(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    captioner_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """A bundle in C of each small network. Read only."""
    return export_in_c(make_model, tokenizer, captioner_folder, tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="session")
def compiled_integers(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in C, in float32, int8 and int4. Read only."""
    return export_integers(checkpoint_folder, tmp_path_factory.mktemp("integers") / "b")


@pytest.fixture(scope="session")
def kotlin(library: Path) -> Iterator[Server]:
    """The JVM example, and the parts of it that tests drive, started."""
    server = kotlin_server(compile_kotlin(), library)
    yield server
    server.close()


@pytest.fixture(scope="session")
def python_example() -> Iterator[Server]:
    """The Python example, started, where edgernn and what it is made of cannot be imported."""
    server = python_server(without=FOREIGN)
    yield server
    server.close()


@pytest.fixture(scope="session")
def archive(build: Path) -> Path:
    """Everything but main.c with sanitizers, for drivers of a test's own."""
    sources = [str(path) for path in sorted(C.glob("*.c")) if path.name != "main.c"]
    objects = [str(build / Path(path).with_suffix(".o").name) for path in sources]
    with alone(build / "all.a") as missing:
        if missing:
            subprocess.run(["gcc", *FLAGS, "-c", *sources], check=True, timeout=240, cwd=build)
            subprocess.run(["ar", "rc", str(build / "all.a"), *objects], check=True, timeout=60)
    return build / "all.a"


@pytest.fixture(scope="session")
def drive(build: Path, archive: Path) -> Callable[..., str]:
    """Compile a main of a test's own with sanitizers, once, run it on ``given`` and return what it
    prints.
    """

    def driver_of(source: str) -> Path:
        name = f"driver-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
        return _driver(build, archive, name, source)

    def run(
        source: str, *, given: bytes = b"", arguments: Sequence[str] = (), says: str = r""
    ) -> str:
        done = subprocess.run(
            [driver_of(source), *arguments],
            input=given,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(says, done.stderr.decode("utf-8")), done.stderr
        return done.stdout.decode("utf-8")

    return run


@pytest.fixture(scope="session")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every ONNX precision."""
    folder, precision = (
        tmp_path_factory.mktemp("text") / "b",
        ["float32", "float16", "int8", "int4"],
    )
    export_bundle(
        checkpoint_folder,
        folder,
        to=["onnx"],
        precision=precision,
        in_graph=True,
        steps=8,
        options=LOOSE,
        release=True,
    )
    return folder


@pytest.fixture(scope="session")
def learned(
    make_model: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of a GRU with a learned first state, whose characters take one to four bytes."""
    letters = Tokenizer.build(['aé€𝄞 "\\\n'], "char")
    model = make_model(cell="gru", learned_initial_state=True, vocabulary=letters.vocabulary_size)
    folder = tmp_path_factory.mktemp("learned") / "b"
    export_bundle(Checkpoint(model, letters, {}, {}), folder, to=["onnx"], steps=8, release=True)
    return folder
