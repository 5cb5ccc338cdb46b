"""`python -m storage_node`, and what a zipapp of this package starts."""

from __future__ import annotations

from storage_node.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
