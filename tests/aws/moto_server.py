"""A server that speaks AWS, in a process of its own: starts it, and prints its port.

Run as `python moto_server.py`. It ends when its standard input does, so that nobody has to look for it.
"""

import sys

from moto.moto_api import recorder
from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    recorder.start_recording()
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    server.stop()
