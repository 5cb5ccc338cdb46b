"""A state file that the engine was killed over: the file backend writes it in place, so it may be cut off."""

import json
import shutil
from pathlib import Path

from operate.errors import OperateError
from operate.project import PROJECT_NAME, file_backend


def restore_torn(stack: str) -> bool:
    """Puts the last whole state back where the present one is cut off; gives whether that was needed.

    The engine keeps the version before each write beside the file. It is at most one step behind, and every step may
    be repeated. Nothing happens while an engine holds the stack. Raises OperateError where no whole version is left.
    """
    place = file_backend()
    if place is None or any((place / ".pulumi/locks/organization" / PROJECT_NAME / stack).glob("*.json")):
        return False
    present = place / ".pulumi/stacks" / PROJECT_NAME / f"{stack}.json"
    # A file of attributes lies beside it, which the backend does without when it is missing, but not when it is torn.
    attributes = present.with_name(f"{present.name}.attrs")
    if attributes.exists() and not _whole(attributes):
        attributes.unlink()
    if not present.exists() or _whole(present):
        return False
    before = present.with_name(f"{present.name}.bak")
    if not before.exists() or not _whole(before):
        raise OperateError(
            f"The state {present} is cut off, and so is the version before it. Older ones are in "
            f"{place / '.pulumi/backups'}: bring one back with `pulumi stack import --stack {stack} --file <version>`."
        )
    draft = present.with_name(f"{present.name}.restored")
    shutil.copy2(before, draft)
    draft.replace(present)
    return True


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
