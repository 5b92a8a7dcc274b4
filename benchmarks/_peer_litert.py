"""LiteRT: converted by litert-torch, run by the interpreter of ai-edge-litert (XNNPACK)."""

from __future__ import annotations

import numpy as np
import torch
from _peer_base import Peer, Stepper, Work, folder_bytes


def _prepare(work: Work) -> Stepper:
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    folder = work.folder("litert")
    litert_torch.convert(work.plain, work.examples(torch.int32)).export(
        str(folder / "model.tflite")
    )
    interpreter = Interpreter(model_path=str(folder / "model.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    places = [f"args_{index}" for index in range(1, 1 + len(work.names))]
    made = [f"output_{index}" for index in range(1, 1 + len(work.names))]

    def step(
        token: int, state: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        results = run(args_0=np.array([[token]], np.int32), **dict(zip(places, state, strict=True)))
        return results["output_0"], tuple(results[name] for name in made)

    return Stepper(step, tuple(tensor.numpy() for tensor in work.zeros()), folder_bytes(folder))


PEERS = (
    Peer(
        "litert",
        "LiteRT, litert-torch, XNNPACK",
        ("litert-torch", "ai-edge-litert"),
        True,
        _prepare,
    ),
)
