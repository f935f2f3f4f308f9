"""`python -m gridpact.node.clouds`: a provider on standard input and output."""

import os
import sys

from gridpact.node.clouds.worker import serve

if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(0)  # nobody reads any more; the usual exit would complain about the pipe
