"""The ranks of MPI: the serial sum's bits, the function's own errors, and no rank that waits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fcnn
from fcnn import parallel

HERE = Path(__file__).parent


def run(part, ranks):
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    folders = [str(HERE), str(Path(fcnn.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    settings = {  # Open MPI's; MPICH needs none
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",  # other work may have the core
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PYTHONPATH": os.pathsep.join(folders),
    }
    return subprocess.run(
        [mpiexec, "-n", str(ranks), sys.executable, "-W", "error", HERE / "ranks_program.py", part],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_three_ranks_in_either_order_and_two_beside_one_give_the_serial_bits():
    done = run("all", 3)
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


def test_an_exception_of_rank_0_lets_the_other_ranks_go_on():
    done = run("raises", 3)
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


def test_a_rank_that_is_ended_ends_the_others():
    done = run("breaks", 2)
    assert done.returncode != 0
    assert "SystemExit: 3" in done.stderr


def test_after_an_interrupted_call_all_ranks_are_ended():
    done = run("interrupted", 2)
    assert done.returncode != 0
    assert done.stdout == "refused\n"


def test_without_mpi4py_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"pip install 'fcnn\[mpi\]'"), parallel.mpi():
        pass
