"""How well and how fast documents are found."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the image, and before numpy is there to read it
