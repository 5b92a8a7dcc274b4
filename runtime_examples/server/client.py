"""A client: python client.py ws://127.0.0.1:8000/stream --prompt "The " --length 60 --seed 1"""

from __future__ import annotations

import argparse
import json

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


def main() -> None:
    """Print a text while it is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    said = vars(parser.parse_args())
    url = said.pop("url")
    try:
        last = write(url, said)
    except (OSError, WebSocketException) as problem:
        raise SystemExit(f"{url}: {problem}; is a server running there?") from None
    if "done" not in last:
        raise SystemExit(last.get("error", f"{url} closed before the text was whole"))


def write(url: str, wish: dict[str, str | int]) -> dict[str, str]:
    """Print the pieces of a text; return the message that was none."""
    with connect(url) as socket:
        socket.send(json.dumps({"do": "write", **wish}))
        for message in map(json.loads, socket):
            if "text" not in message:
                print()
                return dict(message)
            print(message["text"], end="", flush=True)
    return {}


if __name__ == "__main__":
    main()
