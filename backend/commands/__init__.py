"""The commands of `turboportrait`, one module each; heavy imports happen when a command runs."""

import os

# Read when numpy is loaded. The equations solved here are small: several threads gain nothing with them, and wait long
# for each other where other programs keep the cores busy (the head's fit took 10 s instead of 0.5 s).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
