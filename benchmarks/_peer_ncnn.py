"""ncnn by bare calls: what pnnx, its own converter, makes of the model as people write it, and
edgernn's folders.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _peer_base import Peer, PeerError, Stepper, Work

from edgernn.contract import TOKENS, next_name
from edgernn.families.step import LOGITS

_LIMIT_S = 120


def _pnnx(work: Work) -> Stepper:
    """Convert the plain model with float32 weights; its fused layers take any T."""
    import pnnx

    folder, examples = work.folder("pnnx"), work.examples()
    traced = torch.jit.trace(work.plain, examples, check_trace=False)
    torch.jit.save(traced, str(folder / "m.pt"))
    kinds = {torch.int64: "i64", torch.float32: "f32"}
    shapes = [f"{list(e.shape)}{kinds[e.dtype]}".replace(" ", "") for e in examples]
    done = subprocess.run(
        [pnnx.EXEC_PATH, "m.pt", f"inputshape={','.join(shapes)}", "fp16=0"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise PeerError(f"pnnx ended with {done.returncode}")
    files = [folder / "m.ncnn.param", folder / "m.ncnn.bin"]
    count = len(work.names)
    given, made = ([f"{way}{at}" for at in range(count + 1)] for way in ("in", "out"))
    return _stepper(files, work, given=given, made=made)


def _folder(work: Work, precision: str) -> Stepper:
    """Export with edgernn."""
    from edgernn.export.to_ncnn.exporter import NcnnExporter

    folder = work.scratch / f"ncnn-{precision}"
    NcnnExporter().export(work.model, folder, precision=precision, decoding=None)
    files = [folder / "step.param", folder / "step.bin"]
    given, made = [TOKENS, *work.names], [LOGITS, *map(next_name, work.names)]
    return _stepper(files, work, given=given, made=made)


def _stepper(
    files: Sequence[Path], work: Work, *, given: Sequence[str], made: Sequence[str]
) -> Stepper:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = 1, False
    if net.load_param(str(files[0])) or net.load_model(str(files[1])):
        raise PeerError("ncnn does not open it")
    token = ncnn.Mat(1)
    place = np.array(token, copy=False).view(np.int32)

    def step(one: int, state: tuple[Any, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
        place[0] = one
        extractor = net.create_extractor()
        for name, mat in zip(given, (token, *state), strict=True):
            extractor.input(name, mat)
        logits, *after = [extractor.extract(name)[1] for name in made]
        return np.array(logits), tuple(after)

    first = []
    for tensor in work.zeros():
        layers, _, width = tensor.shape
        first.append(ncnn.Mat(width, layers))
        first[-1].fill(0.0)
    return Stepper(step, tuple(first), sum(file.stat().st_size for file in files))


def _peer(precision: str) -> Peer:
    prepare: Callable[[Work], Stepper] = partial(_folder, precision=precision)
    what = f"edgernn, ncnn {precision}, bare calls"
    return Peer(
        f"edgernn-ncnn-{precision}", what, ("ncnn", "onnx"), precision == "float32", prepare
    )


PEERS = (
    Peer("ncnn", "nn.LSTM or nn.GRU by pnnx (fp16=0), ncnn", ("ncnn", "pnnx"), True, _pnnx),
    *(_peer(precision) for precision in ("float32", "float16", "int8")),
)
