"""``python -m edgernn``."""

from edgernn.cli.app import main

if __name__ == "__main__":
    main()
