"""How fast the transforms are, beside copying and other libraries: `python benchmarks/transforms.py [--quick] [--json FILE] …`.

The same as `wavekit bench transforms`; `--help` names what it takes.
"""

import sys

from wavekit_cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "transforms", *sys.argv[1:]]))
