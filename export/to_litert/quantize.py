"""Runs in the environment ``litert``, apart from edgernn: a ``.tflite`` file of floats in, one with
weights of fewer bits out.

It imports nothing of edgernn, and is called by its place: ``python quantize.py FILE.tflite
ROUNDED.tflite RULES.json``, where rules are a list of ``[pattern, operator, bits, granularity]``,
the last that fits being the one that counts. What goes wrong is told in the last line on stderr.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path


def main(source: str, target: str, rules: str) -> None:
    """Round the weights of every operator of ``source`` that a rule fits."""
    warnings.simplefilter("ignore")
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager

    recipe = recipe_manager.RecipeManager()
    for pattern, operator, bits, granularity in json.loads(Path(rules).read_text("utf-8")):
        recipe.add_dynamic_config(
            regex=pattern,
            operation_name=qtyping.TFLOperationName(operator),
            num_bits=bits,
            granularity=qtyping.QuantGranularity(granularity),
        )
    made = quantizer.Quantizer(source, recipe.get_quantization_recipe()).quantize()
    Path(target).write_bytes(made.quantized_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
