"""The C library keeps freed memory, so that the next step need not map it again."""

import os
import platform
import subprocess
import sys

import pytest

GLIBC = platform.libc_ver()[0] == "glibc"

STEPS = """
import resource
import numpy as np
import fcnn._ops.memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    return [np.ones(3 << 20, np.uint8) for _ in range(50)]

step()
before = faults()
step()
print(faults() - before)
"""


def faults_of_a_step(**settings):
    """Return the page faults of a step of 150 MiB, after a first one, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", STEPS],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(ran.stdout)


@pytest.mark.skipif(not GLIBC, reason="other C libraries have other ways")
def test_a_step_takes_the_memory_of_the_last_one():
    pages = (150 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert faults_of_a_step() < pages // 10


@pytest.mark.skipif(not GLIBC, reason="other C libraries have other ways")
def test_the_environment_says_how_it_shall_be():
    pages = (150 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert faults_of_a_step(MALLOC_TRIM_THRESHOLD_=str(1 << 20)) > pages // 2
