"""A validator as a process of its own: `python -m gridpact.node.cometbft FOLDER`."""

import asyncio
import sys
from pathlib import Path

from gridpact.node.cometbft.validator import serve

if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
