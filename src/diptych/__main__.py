"""`python -m diptych` is the command line too."""

import sys

from diptych.cli import main

if __name__ == "__main__":
    sys.exit(main())
