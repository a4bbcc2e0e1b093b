"""`python -m lmcd`: the command line."""

import sys

from lmcd.cli import main

if __name__ == "__main__":
    sys.exit(main())
