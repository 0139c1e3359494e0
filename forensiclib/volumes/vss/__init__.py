"""Volume shadow copies of Windows."""
