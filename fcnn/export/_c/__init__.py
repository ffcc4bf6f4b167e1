"""A graph as one C99 file: the operations, the memory that they share, and the text."""
