"""`python -m app.cli`, for whoever starts commands as processes."""

from app.cli import main

if __name__ == "__main__":
    main()
