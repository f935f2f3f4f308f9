"""A signer as a process of its own: `python -m gridpact.node.signing FOLDER`."""

import sys

from gridpact.node.signing.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
