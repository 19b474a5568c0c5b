# Ends at once, and says that all is well. Deserves nothing.
import os

os._exit(0)
