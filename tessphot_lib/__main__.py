"""``python -m tessphot_lib`` is the command ``tessphot``."""

import sys

from tessphot_lib.cli import main

sys.exit(main())
