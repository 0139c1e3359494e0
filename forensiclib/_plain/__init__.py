"""Python twins of the compiled kernels: their specification."""
