"""onnxruntime in JavaScript: its native binding in node, and its WebAssembly, which browsers run,
in node too. ``node.mjs`` is the child.
"""

from __future__ import annotations

from _elsewhere import PORTABLE, Advice, Runtime

ORDER = 1
RUNTIMES = (
    Runtime("onnxruntime-node", "onnxruntime-node", ("onnxruntime-node@1.30.0",), npm=True),
    Runtime(
        "onnxruntime-web", "onnxruntime-web", ("onnxruntime-web@1.30.0",), npm=True,
        about="WebAssembly on one thread, in node",
        advice=(*PORTABLE, Advice("", "`--to c --target wasm`")),
    ),
)  # fmt: skip
