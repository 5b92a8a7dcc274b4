"""A graph that somebody changed: it is refused, or gives C that reads and writes its own memory
alone, which a compiler's address sanitizer watches.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest

from edgernn.contract import FileContract
from edgernn.errors import EdgernnError
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_c.front import OPERATORS
from edgernn.export.to_c.generator import generate
from edgernn.export.to_c.plan import C_TYPES
from edgernn.sessions.compiler import find_compiler

WATCHED = ("-std=c99", "-O1", "-w", "-fsanitize=address", "-fno-sanitize-recover")
NUMBERS = (-3, -1, 0, 1, 2, 3, 7, 100)
MOST, COUNT = 4000, 6  # graphs that are drawn, and programs that are run


def changed(content: bytes, random: Random) -> bytes:
    """Return the graph with an input, an operator, an attribute or a shape changed, or a few."""
    model = onnx.load_from_string(content)
    graph = model.graph
    names = [own.name for own in (*graph.input, *graph.initializer)]
    names += [name for node in graph.node for name in node.output]
    for _ in range(random.choice((1, 1, 2, 3))):
        node, kind = random.choice(graph.node), random.random()
        if kind < 0.4 and node.input:
            node.input[random.randrange(len(node.input))] = random.choice(names)
        elif kind < 0.6:
            node.op_type = random.choice(sorted(OPERATORS))
        elif kind < 0.8 and node.attribute:
            attribute = random.choice(node.attribute)
            numbers = np.frombuffer(attribute.t.raw_data, np.uint8)
            if attribute.ints:
                place = random.randrange(len(attribute.ints))
                attribute.ints[place] = random.choice(NUMBERS)
            elif attribute.t.data_type == onnx.TensorProto.INT64 and numbers.size:
                held = numbers.view(np.int64).copy()
                held[random.randrange(held.size)] = random.choice(NUMBERS)
                attribute.t.raw_data = held.tobytes()
            else:
                attribute.i = random.choice(NUMBERS)
        else:
            tensor = random.choice(graph.initializer)
            tensor.dims[:] = random.choice(([*tensor.dims][::-1], [prod(tensor.dims), 1]))
    made: bytes = model.SerializeToString()
    return made


def program(own: FileContract) -> str:
    """Return a program that calls the step twice over memory of exactly its tensors' sizes."""
    interface, spec = own.interface(), own.spec
    states = {state.name for state in spec.states}
    lines = ['#include "step.h"', "#include <stdlib.h>", "int main(void)", "{"]
    lines += ["net_inputs inputs;", "net_outputs outputs;"]
    lines += ["net_state *state = calloc(1, sizeof *state);"]
    read = {tensor.name for tensor in spec.read_outputs}
    for side, tensors in (("inputs", interface.inputs), ("outputs", interface.outputs)):
        for tensor in tensors:
            if tensor.name not in states and (side == "inputs" or tensor.name in read):
                size = prod(n for n in tensor.shape or () if isinstance(n, int))
                kind = C_TYPES[tensor.dtype or ""]
                lines.append(f"{side}.{tensor.name} = calloc({size}, sizeof({kind}));")
    lines += ["net_step(&inputs, state, &outputs);"] * 2
    return "\n".join([*lines, "return 0;", "}"])


def others(content: bytes, own: FileContract) -> Iterator[dict[str, bytes]]:
    """Yield the C of changed graphs that are not refused, each another text."""
    random, texts = Random(7), {generate(content, own).files["step.c"]}
    for _ in range(MOST):
        try:
            files = generate(changed(content, random), own).files
        except EdgernnError as error:
            assert "\n" not in str(error)
            continue
        if files["step.c"] not in texts:
            texts.add(files["step.c"])
            yield files


def test_a_changed_graph_is_refused_or_stays_inside_its_memory(
    make_captioner: Callable[..., Any], tmp_path: Path
) -> None:
    model, command = make_captioner(), find_compiler().command
    written = CExporter().export(model, tmp_path / "step", precision="float32", decoding=None)
    own = FileContract(contract=model.config.contract(), narrowing=written.narrowing)
    (tmp_path / "main.c").write_text(program(own))
    empty = subprocess.run(
        [*command, *WATCHED, "-x", "c", "-", "-o", "probe"],
        input=b"int main(void) { return 0; }",
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if empty.returncode:
        pytest.skip("the compiler has no address sanitizer")
    count = 0
    for files in others((tmp_path / "step" / "graph.onnx").read_bytes(), own):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        weights = np.nan_to_num(np.frombuffer(files["step.weights.bin"], "<f4"))
        held = ", ".join(map(str, weights.tobytes()))
        (tmp_path / "weights.c").write_text(
            f"const unsigned char net_step_weights[] __attribute__((aligned(64))) = {{{held}}};"
        )
        sources = ("step.c", "weights.c", "main.c")
        subprocess.run([*command, *WATCHED, *sources, "-o", "app"], cwd=tmp_path, check=True)
        done = subprocess.run(
            [tmp_path / "app"],
            capture_output=True,
            text=True,
            check=False,
            env={"ASAN_OPTIONS": "detect_leaks=0"},
        )
        assert done.returncode == 0, done.stderr[:2000]
        count += 1
        if count == COUNT:
            break
    assert count == COUNT
