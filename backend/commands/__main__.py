"""`python -m backend.commands`: the command `turboportrait`, for launchers of processes and checkouts."""

from backend.commands.app import main

if __name__ == "__main__":
    main()
