"""The staircase: from an image to records. The only module that composes floors."""
