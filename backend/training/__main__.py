"""`accelerate launch -m backend.training refiner --config X`: `turboportrait train` for launchers of processes."""

import sys

from backend.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
