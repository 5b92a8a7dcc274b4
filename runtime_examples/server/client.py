"""A client: python client.py ws://127.0.0.1:8000/stream --prompt "The " --length 60 --seed 1"""

from __future__ import annotations

import argparse
import json

from websockets.sync.client import connect


def main() -> None:
    """Print a text while it is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    said = vars(parser.parse_args())
    with connect(said.pop("url")) as socket:
        socket.send(json.dumps({"do": "write", **said}))
        for message in map(json.loads, socket):
            if "text" not in message:
                print()
                break
            print(message["text"], end="", flush=True)
    if "error" in message:
        raise SystemExit(message["error"])


if __name__ == "__main__":
    main()
