"""A validator as a process of its own: `python -m gridpact.node FOLDER`."""

import asyncio
import sys
from pathlib import Path

from gridpact.errors import GridpactError
from gridpact.node.devnet import serve_home
from gridpact.node.logs import log_as_json

if __name__ == "__main__":
    log_as_json()
    try:
        asyncio.run(serve_home(Path(sys.argv[1])))
    except GridpactError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
