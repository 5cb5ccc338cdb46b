"""What an environment may be called: the name is a directory, a file and a word in a list of exports."""

from __future__ import annotations

import re

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
RULE = "1 to 63 of a-z, 0-9, '.' and '-', the first a letter or digit"


def is_environment_name(name: str) -> bool:
    """Whether a name can be an environment's: it then has no path, shell or list character in it."""
    return _ENVIRONMENT.fullmatch(name) is not None
