"""The rows: a function in C, and the files of it in the order in which machines choose.

Each file of a function is for one set of instructions, and is taken where the compiler has that and
none before it was: ``#if defined(…) && !defined(NET_NAME)``, with ``#define NET_NAME`` behind it.
The last one is in plain C99. All give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

# Of each kind: bits of the weights, of activations.
_PANEL_8, _PANEL_4 = (("portable/panel_8.c", "product.c"), ("portable/panel_4.c", "product.c"))
_SSE2_8, _SSE2_4 = (("sse2/sums.c", "sse2/panel_8.c"), ("sse2/sums.c", "sse2/panel_4.c"))
_X86 = ("avx512vnni/panel_{}.c", "avx2/panel_{}.c")
_X86_16 = (*_X86, *_SSE2_8)
_X86_4 = ("avx512vnni/some_{}.c", *_X86, *_SSE2_4)
_X86_8 = ("avx512vnni/panel_8_bytes.c", "avx2/panel_{}.c", *_SSE2_8)
_CORTEX_M = ("mve/four_{}.c", "mve/panel.c", "dsp/four_{}.c")
_NEON = ("neon/lines_{}.c", "neon/panel.c")
_ARM_8_16 = (*_CORTEX_M, "dsp/panel_8.c", *_NEON)
_ARM_8_8 = (*_CORTEX_M, "dsp/panel_8.c", "neon/dot_{}.c", *_NEON)
_ARM_8_7 = tuple(file.format("8_8") for file in _ARM_8_8)
_ARM_4_16 = (*_CORTEX_M, "dsp/panel_4.c", *_NEON)
_ARM_4_8 = (*_CORTEX_M, "dsp/panel_4.c", "neon/dot_{}.c", *_NEON)
_WASM_8, _WASM_4 = (("wasm/lines_8.c", "wasm/panel.c"), ("wasm/lines_4.c", "wasm/panel.c"))
_FEW = ("portable/panel_{}.c", "product.c")
FILES = {  # name → its files
    "quantise_16": ("portable/quantise.c", "portable/round_16.c"),
    "quantise_8": ("portable/quantise.c", "portable/round_8.c"),
    "product_8_16": (*_X86_16, *_ARM_8_16, *_WASM_8, *_PANEL_8),
    "product_8_8": (*_X86_8, *_ARM_8_8, *_WASM_8, *_PANEL_8),
    "product_8_7": (
        "avx2/some_{}.c",
        *_X86_8,
        *_ARM_8_7,
        "wasm/relaxed_8_7.c",
        *_WASM_8,
        *_PANEL_8,
    ),
    "product_1_16": (_FEW[0].format(1), _FEW[1]),
    "product_2_16": (_FEW[0].format(2), _FEW[1]),
    "product_4_16": (*_X86_4, *_ARM_4_16, *_WASM_4, *_PANEL_4),
    "product_4_8": (*_X86_4, *_ARM_4_8, "wasm/relaxed_4_8.c", *_WASM_4, *_PANEL_4),
}
FILES.update(  # of each width of a panel of floats
    {f"floats_{width}": ("mve/floats.c", "dsp/floats.c", "portable/floats.c") for width in (32, 64)}
)
FILES.update(
    {  # products of several vectors
        f"rows_{name.partition('_')[2]}": (*files[:-1], "rows.c")
        for name, files in FILES.items()
        if name.startswith("product_")
    }
)
FILES.update(
    {  # some panels, of gates
        f"panels_{name.partition('_')[2]}": (*files[:-1], "panels.c")
        for name, files in FILES.items()
        if name.startswith("product_")
    }
)


def texts(names: Iterable[str]) -> list[str]:
    """Return the texts of the kernels ``names``, each once."""
    wanted = set(names)
    found: dict[str, None] = {}
    for name, files in FILES.items():
        if name in wanted:
            kind = name.partition("_")[2]
            own = "int16_t" if kind.endswith("16") else "int8_t"
            for file in files:
                text = _text(file.format(kind))
                found[text.replace("KIND", kind).replace("TYPE", own)] = None
    return list(found)


@cache
def _text(file: str) -> str:
    return "\n" + (resources.files(__package__) / file).read_text(encoding="ascii")
