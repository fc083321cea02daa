"""Weights that somebody brings, read without trusting them.

contract.py    what goes in and what comes out
process.py     reads a file in a child process (imports no torch)
confinement.py what the child gives up before it opens the file
loading.py     opens the file by an allow-list of classes, and proves what it found
__main__.py    puts them together
"""
