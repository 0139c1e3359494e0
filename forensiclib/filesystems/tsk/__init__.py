"""File systems through The Sleuth Kit (pytsk3), and what is read beside it because it does not say it."""
