"""The part of a model card that says how each language runs the bundle: the examples of the
edgernn repository, a row each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgernn.bundle.manifest import Manifest
from edgernn.cli.shown import visible
from edgernn.data.text.spaced import SPACED
from edgernn.families.base import Family
from edgernn.families.table import family_of
from edgernn.formats import FORMATS

PLACE = '"$BUNDLE"'
_FOLDER = '"$BUNDLE-unpacked"'
_UNPACK = f"unzip -qo {PLACE} -d {_FOLDER}"
_MODULES, _MODULE_HOSTS = ("wasm", "wasm-relaxed"), ("node", "web")
_WHERE = "From `runtime_examples/` of the edgernn repository, without edgernn or PyTorch."


@dataclass(frozen=True)
class Host:
    """One example of ``runtime_examples/``.

    Attributes:
        folder: its folder, by which rows of formats name it.
        head: what stands before its commands.
        commands: what builds and runs it; none where an app is made of it. ``{place}`` is the
            bundle, ``{ask}`` what it is asked for.
        image: how it is asked for a caption; None where it writes text alone.
        one_file: whether it opens a bundle in one file; others are given it unpacked.
    """

    folder: str
    head: str
    commands: tuple[str, ...] = ()
    image: str | None = ""
    one_file: bool = True


HOSTS = (
    Host(
        "python",
        "Python:",
        ("cd python", "pip install numpy onnxruntime", "python main.py {place} {ask}"),
        image="--image photo.jpg",
    ),
    Host(
        "litert",
        "Python with LiteRT, on a Raspberry Pi and the like:",
        ("cd litert", "pip install numpy ai-edge-litert", "python main.py {place} {ask}"),
        image="--image photo.jpg",
    ),
    Host(
        "cpp",
        "C++:",
        (
            "cd cpp",
            "cmake -S . -B build -DONNXRUNTIME_ROOT=/path/to/onnxruntime && cmake --build build",
            "build/edgernn_run {place} {ask}",
        ),
        image="--image picture.ppm",
        one_file=False,
    ),
    Host(
        "jvm",
        "On the JVM (Java 22 or newer, kotlinc):",
        ("cd jvm", "make", "./edgernn {place} {ask}"),
        image="--image photo.jpg",
    ),
    Host("c", "C:", ("cd c", "make", "./edgernn {place} {ask}"), image=None, one_file=False),
    Host(
        "node",
        "Node.js:",
        ("cd node", "npm ci --ignore-scripts", "node main.mjs {place} {ask}"),
        image=None,
    ),
    Host(
        "web",
        "In a browser, on the visitor's device:",
        ("cd web", "npm ci --ignore-scripts && npm run vendor", "node serve.mjs {place}"),
    ),
    Host(
        "compiled",
        "C and C++, without a runtime, the recorded run:",
        (
            "cd compiled",
            "cmake -S . -B build -DBUNDLE={place} && cmake --build build && "
            "build/replay build/net/golden.safetensors",
        ),
        one_file=False,
    ),
    Host(
        "executorch",
        "C++ with ExecuTorch:",
        ("cd executorch", "pip install executorch==1.5.1", "make", "./edgernn_run {place} {ask}"),
        image="--image picture.ppm",
        one_file=False,
    ),
    Host(
        "rust",
        "Rust, without a runtime, the recorded run:",
        ("cd rust", "EDGERNN_BUNDLE={place} cargo test"),
        one_file=False,
    ),
    Host(
        "mcu",
        "A microcontroller, emulated by qemu, the recorded run:",
        ("cd mcu", "make run BUNDLE={place} BOARD=m4"),
        one_file=False,
    ),
    Host(
        "ios",
        "Swift, on iOS and macOS: the package in `runtime_examples/ios`, with the bundle among "
        "the app's resources.",
    ),
    Host(
        "android",
        "Kotlin, on Android: the project in `runtime_examples/android`, with the bundle in the "
        "app's assets; its README says how it runs files other than ONNX.",
    ),
)


def run_section(manifest: Manifest, name: str, *, packed: bool = False) -> str:
    """Return how each language runs the bundle that is called ``name``; ``packed`` says that it is
    one file.
    """
    family = family_of(manifest.family)
    if not family.in_examples:
        return _replay(family, name, packed=packed)
    captions = family.writes == "captions"
    text = "" if captions else f"{_prompt(manifest)}--length 200"
    ask = "photo.jpg" if captions else text
    parts = [
        block([f"BUNDLE=/path/to/{_argument(name)}"]),
        "With edgernn installed:",
        block([f"edgernn {family.command} {PLACE} {ask}"]),
    ]
    return "\n\n".join([*parts, *_hosts(manifest, text, captions=captions, packed=packed)])


def block(lines: Iterable[str], language: str = "sh") -> str:
    """Return lines of code as a block, fenced by more backticks than any of them has in a row."""
    code = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


def _hosts(manifest: Manifest, text: str, *, captions: bool, packed: bool) -> Iterator[str]:
    """Yield the parts of every example that runs files of the bundle and writes what the model
    does.
    """
    own = {artifact.format for artifact in manifest.artifacts}
    able = {host for name in own if name in FORMATS for host in FORMATS[name].hosts}
    able |= set(_MODULE_HOSTS) if _has_modules(manifest) else set()
    before = f"{_WHERE} "
    for host in HOSTS:
        if host.folder not in able or (captions and host.image is None):
            continue
        if not host.commands:
            yield f"{host.head} It stands there unpacked: `{_UNPACK}`." if packed else host.head
            continue
        yield f"{before}{host.head}"
        before, ask = "", host.image if captions else text
        unpacked = packed and not host.one_file
        place = _FOLDER if unpacked else PLACE
        lines = [line.format(place=place, ask=ask) for line in host.commands]
        yield block([*lines[:-1], *([_UNPACK] if unpacked else []), lines[-1]])


def _has_modules(manifest: Manifest) -> bool:
    """Return whether every graph of the model has C that was built as a WebAssembly module."""
    graphs = {
        artifact.graph
        for artifact in manifest.artifacts
        if any(library.target in _MODULES for library in artifact.libraries or ())
    }
    return graphs >= {graph.name for graph in manifest.contract.graphs}


def _replay(family: Family, name: str, *, packed: bool) -> str:
    """Return how a network that the examples write nothing with is asked, timed and stepped."""
    asked = (
        [] if family.command is None else [f"edgernn {family.command} {PLACE}{family.arguments}"]
    )
    step = [
        "import edgernn",
        'session = edgernn.open_session("/path/to/bundle")',
        "state = session.initial_state()",
        "outputs, state = session.step(inputs, state)",
    ]
    return "\n\n".join(
        [
            block([f"BUNDLE=/path/to/{_argument(name)}"]),
            "With edgernn installed:",
            block([*asked, f"edgernn bench {PLACE}"]),
            "Step by step, from Python:",
            block(step, "python"),
            "The recorded run is replayed by every example in `runtime_examples/` of the edgernn "
            "repository"
            + (f"; in C, C++ and Swift, of the bundle unpacked: `{_UNPACK}`." if packed else "."),
        ]
    )


def _prompt(manifest: Manifest) -> str:
    """Return the option for a prompt that the model can read: a recorded word of a network that
    others trained; of characters, a recorded one where it lacks the usual ones.
    """
    tokenizer = manifest.text_tokenizer
    if tokenizer.kind == SPACED:
        word = next(iter(re.findall(r"(?<!\S)\w+(?!\S)", tokenizer.text, re.ASCII)), None)
        return "" if word is None else f"--prompt {word} "
    if tokenizer.kind != "char" or set("The ") <= set(tokenizer.text):
        return '--prompt "The " '
    letter = next((character for character in tokenizer.text if character.isalnum()), None)
    return "" if letter is None else f"--prompt {letter} "


def _argument(name: str) -> str:
    """Return a path as one argument of a shell: control characters visible, quoted where it needs
    to be.
    """
    shown = visible(name)
    return (
        shown
        if re.fullmatch(r"[\w@%+=:,./-]+", shown, re.ASCII)
        else "'" + shown.replace("'", "'\\''") + "'"
    )
