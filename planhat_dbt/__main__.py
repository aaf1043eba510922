"""`planhat-dbt`, also `python -m planhat_dbt`."""

from planhat_dbt.cli.main import main

if __name__ == "__main__":
    main()
