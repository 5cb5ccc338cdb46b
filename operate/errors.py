"""The one error that an operator's command ends with."""


class OperateError(Exception):
    """Something that the operator has to know or to mend; its text is one clear sentence or a few."""
