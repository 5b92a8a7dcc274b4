"""Engines that compiled.py puts beside the C: LiteRT where it is installed, RTNeural from its
source at a path. A contestant is what makes so many steps, its state fed back.
"""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from _peer_base import Work
from torch import Tensor

from edgernn.models.language import LanguageModel

Call = Callable[[int], object]
_RTNEURAL = r"""
#include <cstddef>
#include <cstdint>
#include <RTNeural/RTNeural.h>
constexpr int E = EMBEDDING, H = HIDDEN, V = VOCABULARY, N = GATES * HIDDEN;
using Network = RTNeural::ModelT<float, E, V, RTNeural::CELLLayerT<float, E, H>,
                                 RTNeural::CELLLayerT<float, H, H>, RTNeural::DenseT<float, H, V>>;
static Network network;
alignas(64) static float input[E];
static std::vector<std::vector<float>> rows(const float *w, int count, int columns)
{
    std::vector<std::vector<float>> made(count, std::vector<float>(columns));
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < columns; ++j) made[i][j] = w[i * columns + j];
    return made;
}
template <int AT, int IN> static void layer(const float *w, const float *u, const float *b)
{
    auto &own = network.template get<AT>();
    own.setWVals(rows(w, IN, N));
    own.setUVals(rows(u, H, N));
    BIASES
}
extern "C" void load(const float *embedded, const float *w0, const float *u0, const float *b0,
                     const float *w1, const float *u1, const float *b1,
                     const float *head, const float *bias)
{
    for (int i = 0; i < E; ++i) input[i] = embedded[i];
    layer<0, E>(w0, u0, b0);
    layer<1, H>(w1, u1, b1);
    network.get<2>().setWeights(rows(head, V, H));
    network.get<2>().setBias(bias);
    network.reset();
}
extern "C" void run(int count, float *logits)
{
    for (int i = 0; i < count; ++i) network.forward(input);
    for (int i = 0; i < V; ++i) logits[i] = network.getOutputs()[i];
}
"""
_BIASES = {
    "lstm": "own.setBVals(std::vector<float>(b, b + N));",
    "gru": "own.setBVals(rows(b, 2, N));",
}


def peers(model: LanguageModel, folder: Path, rtneural: Path | None) -> Iterator[tuple[str, Call]]:
    """Yield the engines that are there; say which is not."""
    if importlib.util.find_spec("litert_torch") and importlib.util.find_spec("ai_edge_litert"):
        yield "LiteRT float32, set, invoke, get", litert(model, folder)
    else:
        print("LiteRT: not run, needs the packages litert-torch and ai-edge-litert")
    if rtneural is None:
        print("RTNeural: not run, needs --rtneural with the path of its source")
    elif model.config.cell in _BIASES:
        yield "RTNeural float32, Eigen, a loop in C++", RTNeural(model, folder, rtneural)


def litert(model: LanguageModel, folder: Path) -> Call:
    """Return steps of LiteRT, its memory set and read from Python."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    work = Work(model, folder)
    path = str(folder / "model.tflite")
    litert_torch.convert(work.plain, work.examples(torch.int32)).export(path)
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    inputs = sorted(interpreter.get_input_details(), key=lambda own: own["name"])
    outputs = sorted(interpreter.get_output_details(), key=lambda own: own["name"])
    token = next(own["index"] for own in inputs if own["dtype"] == np.int32)
    given = [own["index"] for own in inputs if own["index"] != token]
    logits, *made = (own["index"] for own in outputs)
    states = [np.zeros(own["shape"], np.float32) for own in inputs if own["index"] != token]

    def run(count: int) -> None:
        nonlocal states
        for _ in range(count):
            interpreter.set_tensor(token, np.array([[3]], np.int32))
            for place, state in zip(given, states, strict=True):
                interpreter.set_tensor(place, state)
            interpreter.invoke()
            interpreter.get_tensor(logits)
            states = [interpreter.get_tensor(place) for place in made]

    return run


class RTNeural:
    """Steps of a network of RTNeural's templates over the same weights, compiled here.

    It has no table: the vector of a token goes in as it is.
    """

    def __init__(self, model: LanguageModel, folder: Path, source: Path) -> None:
        self.library = _compiled(model, folder, source)
        self.logits = np.zeros(model.config.vocabulary, np.float32)
        tensors = _tensors(model)
        pointers = [ctypes.c_void_p(tensor.ctypes.data) for tensor in tensors]
        self.library.load(*pointers)
        self(1)
        with torch.no_grad():
            wanted = model(torch.tensor([[3]]), model.initial_state(1))[0].numpy().ravel()
        if not np.allclose(self.logits, wanted, atol=1e-4):
            raise SystemExit(f"RTNeural differs by {np.abs(self.logits - wanted).max():.1e}")

    def __call__(self, count: int) -> None:
        self.library.run(count, ctypes.c_void_p(self.logits.ctypes.data))


def _compiled(model: LanguageModel, folder: Path, source: Path) -> ctypes.CDLL:
    config = model.config
    text = _RTNEURAL.replace("BIASES", _BIASES[config.cell]).replace("CELL", config.cell.upper())
    sizes = {
        "EMBEDDING": config.embedding or config.hidden,
        "HIDDEN": config.hidden,
        "VOCABULARY": config.vocabulary,
        "GATES": 4 if config.cell == "lstm" else 3,
    }
    file, made = folder / "rtneural.cpp", folder / "rtneural.so"
    file.write_text(text, encoding="ascii")
    flags = [f"-D{name}={value}" for name, value in sizes.items()]
    flags += ["-std=c++17", "-O3", "-march=native", "-ffast-math", "-fPIC", "-shared"]
    flags += [
        "-DRTNEURAL_USE_EIGEN=1",
        "-DEIGEN_STACK_ALLOCATION_LIMIT=0",
        "-DRTNEURAL_DEFAULT_ALIGNMENT=32",
    ]
    folders = [f"-I{source}", f"-I{source / 'modules' / 'Eigen'}", f"-I{source / 'modules'}"]
    done = subprocess.run(
        ["g++", *flags, *folders, str(file), "-o", str(made)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"RTNeural is not compiled: {done.stderr[:1000]}")
    return ctypes.CDLL(str(made))


def _tensors(model: LanguageModel) -> list[np.ndarray]:
    """Return what ``load`` takes: matrices ``[K, gates H]`` in RTNeural's order of gates."""
    fused = model.recurrent.fused
    hidden = model.config.hidden
    order = [0, 1, 2, 3] if model.config.cell == "lstm" else [1, 0, 2]  # i f g o; z r n

    def gates(tensor: Tensor) -> np.ndarray:
        blocks = tensor.detach().numpy().reshape(len(order), hidden, -1)
        return np.ascontiguousarray(blocks[order].reshape(len(order) * hidden, -1))

    made = [np.ascontiguousarray(model.embedding.weight.detach().numpy()[3])]
    for at in (0, 1):
        given, own = (getattr(fused, f"weight_{way}_l{at}") for way in ("ih", "hh"))
        made += [np.ascontiguousarray(gates(own_).T) for own_ in (given, own)]
        biases = [gates(getattr(fused, f"bias_{way}_l{at}")).ravel() for way in ("ih", "hh")]
        made.append(biases[0] + biases[1] if model.config.cell == "lstm" else np.stack(biases))
    head = model.head
    return [*made, *(np.array(t.detach().numpy(), np.float32) for t in (head.weight, head.bias))]
