"""python -m forensiclib."""

from forensiclib.cli.main import main

if __name__ == "__main__":
    main()
