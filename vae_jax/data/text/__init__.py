"""Lines of text as sequences of tokens: alphabets, files, molecules."""
