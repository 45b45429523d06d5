"""`python -m starter`: the same as the console script `holdfast`."""

import sys

from starter.main import main

sys.exit(main())
