import sys
from pathlib import Path

# The helpers here must be importable by worker processes, which are given this process's path.
sys.path.insert(0, str(Path(__file__).parent))
