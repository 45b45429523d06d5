"""`python -m holdfast.starter`: the same as the console script `holdfast`."""

import sys

from holdfast.starter.main import main

sys.exit(main())
