"""The node program: everything that runs on a storage node.

Standard library only (Python 3.11 or newer), shipped as one zipapp and installed as ``storage-node``.
Each step reads one JSON object on stdin and prints one JSON object on stdout.
"""
