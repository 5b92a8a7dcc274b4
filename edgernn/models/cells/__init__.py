"""The recurrent cells, a file each. The table of them is in ``table``; nothing is imported here."""
