"""The nouns that every floor speaks. Standard library only; imports no other floor."""
