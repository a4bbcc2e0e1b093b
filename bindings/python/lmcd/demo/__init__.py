"""The reference engine of `lmcd demo`: a small transformer with a real paged KV cache.

Its weights are random, so what it says is gibberish; its memory traffic, its block tables and
its arithmetic are those of a real engine, small. Importing this module does not import numpy,
so a parent process can take `ENVIRONMENT` from here before any engine exists.
"""

ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""What an engine process must be started with.

How BLAS shares a product among threads changes how it rounds, and the engine compares bits.
The libraries read these when they are loaded, so they belong to the parent's call of exec.
"""
