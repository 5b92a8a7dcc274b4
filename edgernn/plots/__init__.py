"""Every picture that edgernn draws, as PNG, PDF or SVG; matplotlib is imported when the first one
is drawn.
"""

from edgernn.plots.curves import Panel, lines, loss_curve, step_times
from edgernn.plots.drawing import check_available
from edgernn.plots.maps import attention_map, look_map, text_attention

__all__ = [
    "Panel",
    "attention_map",
    "check_available",
    "lines",
    "look_map",
    "loss_curve",
    "step_times",
    "text_attention",
]
