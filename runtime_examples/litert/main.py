"""Write text or captions from a bundle by LiteRT, replay its golden run, time its steps: ``python
main.py --help``.

All but ``session.py`` is the example beside this one, ``../python``.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path.append(str(here.parent / "python"))  # behind this folder, whose session goes first
    runpy.run_path(str(here.parent / "python" / "main.py"), run_name="__main__")
