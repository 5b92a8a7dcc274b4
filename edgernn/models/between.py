"""What passes between the layers of a deep recurrent stack, beside each layer's output: the names;
``models.deep`` computes it.

With ``y_l`` what layer l passes up, ``h_l`` its output at a time step, and ``y_0 = h_0``, for the
first layer's input is of another width::

    plain     y_l = h_l
    residual  y_l = y_{l-1} + h_l                          h_l = layer_l(y_{l-1})
    highway   y_l = g ⊙ h_l + (1 - g) ⊙ y_{l-1}            g = σ(W_l y_{l-1} + b_l)

Residual: He et al. 2016 (https://arxiv.org/abs/1512.03385), between recurrent layers as Wu et al.
2016 have it (https://arxiv.org/abs/1609.08144, equation 6). Highway: Srivastava et al. 2015
(https://arxiv.org/abs/1505.00387), whose gate begins nearly shut, ``b = -1``. Both stand outside of
the cell, so that every cell takes them; Kim et al. 2017 and Zhang et al. 2016 put the way through
inside of an LSTM. The gate is linear in what comes from below, as Srivastava et al. have it.
"""

from __future__ import annotations

from typing import Literal, get_args

Between = Literal["plain", "residual", "highway"]
BETWEEN: tuple[str, ...] = get_args(Between)
