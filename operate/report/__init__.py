"""The preview report: what a change to a stack will do, in the words of the people who review it.

A pure function of ``pulumi preview --json --show-sames``: ``preview`` reads it, ``environments``, ``nodes`` and
``stack`` find what it means, ``difference`` writes it out in full, ``markdown`` makes the comment of it. Only
``command`` runs anything.
"""
