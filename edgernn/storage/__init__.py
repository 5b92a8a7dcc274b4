"""What is read from disk and written to it: whole or not at all, and nothing believed unread."""

from edgernn.storage.reading import open_to_read, read_bytes, sha256, size_bytes
from edgernn.storage.writing import (
    appending,
    as_utf8,
    clear,
    reason,
    refuse_dangling,
    remedy,
    remove,
    replacing,
    scratch,
    scratch_folder,
    write_bytes,
    write_json,
    write_text,
)

__all__ = [
    "appending",
    "as_utf8",
    "clear",
    "open_to_read",
    "read_bytes",
    "reason",
    "refuse_dangling",
    "remedy",
    "remove",
    "replacing",
    "scratch",
    "scratch_folder",
    "sha256",
    "size_bytes",
    "write_bytes",
    "write_json",
    "write_text",
]
