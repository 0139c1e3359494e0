"""What lies compressed, encoded or masked in a stream of bytes, found and decoded to be searched; one file a family of forms."""
