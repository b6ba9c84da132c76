"""What runs in the processes of the sandbox: the server that imports and forks, the locks, the program.

The server's process knows this folder as the top-level package `inside`, so that it need not import whet. Therefore the
modules here import each other relatively and nothing else of whet.
"""
