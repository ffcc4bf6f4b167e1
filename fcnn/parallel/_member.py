"""What a rank of MPI does that serves rank 0: it computes shards, and adds their gradients."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

from fcnn.errors import TreeError
from fcnn.parallel._arena import Pickled
from fcnn.parallel._chain import Chain
from fcnn.parallel._failure import Failure, attempt, unloadable, unpicklable
from fcnn.parallel._flat import flat, form_of, observed
from fcnn.parallel._pickling import dumps
from fcnn.parallel._shards import one_blas_thread
from fcnn.parallel._work import function_of

ALONG, WHOLE, NOT = "along", "whole", "not"
"""How gradients are added: from rank to rank, by rank 0 alone, or not, since a shard failed."""


class Order(NamedTuple):
    """What is sent to all ranks: a function, what all shards need, and the bytes of its arrays.

    Attributes:
        ranks: how many have shards.
        adds: whether the results are gradients to be added.
    """

    code: bytes
    common: Pickled
    size: int
    ranks: int
    adds: bool


class Summary(NamedTuple):
    """What rank 0 is told of gradients: what came beside them, and the one form of all, if any."""

    rests: list[Any]
    form: Any
    seen: list[list[Any]]

    @classmethod
    def of(cls, done: Sequence[tuple[Any, Any]]) -> Summary:
        """Describe the results of shards."""
        rests, gradients = [rest for rest, _ in done], [gradient for _, gradient in done]
        forms = [_form(each) for each in gradients]
        if not forms or forms[0] is None or any(each != forms[0] for each in forms):
            return cls(rests, None, [])
        return cls(rests, forms[0], [observed(each) for each in gradients])


def _form(gradient: Any) -> Any:
    """Return the form of a gradient that can be added as flat arrays, or None."""
    try:
        return None if flat(gradient) is None else form_of(gradient)
    except TreeError:  # no tree at all
        return None


def serve(comm: Any) -> None:
    """Compute what rank 0 orders, until it sends None."""
    memory, chain = bytearray(), Chain(comm)
    with one_blas_thread():
        while (order := comm.bcast(None)) is not None:
            if len(memory) < order.size:
                memory = bytearray(order.size)
            if order.size:
                comm.Bcast(memoryview(memory)[: order.size])
            found = _computed(order, memory, comm.scatter(None))
            if order.adds:
                _add(comm, chain, order, found)
            else:
                comm.gather(_reply(found))


def _computed(order: Order, memory: bytearray, part: bytes) -> list[Any] | Failure:
    try:
        function, common = function_of(order.code), order.common.load(memory)
        shards = pickle.loads(part)
    except Exception as error:
        return unloadable(error)
    return attempt(function, common, shards)


def _add(comm: Any, chain: Chain, order: Order, found: list[Any] | Failure) -> None:
    comm.gather(_reply(found if isinstance(found, Failure) else Summary.of(found)))
    way = comm.bcast(None)
    gradients = [] if isinstance(found, Failure) else [gradient for _, gradient in found]
    if way == ALONG and gradients:
        chain.add(order.ranks, [flat(each) or [] for each in gradients])
    elif way == WHOLE:
        comm.gather(_reply(gradients))


def _reply(value: Any) -> bytes:
    try:
        return dumps(value)
    except TypeError as error:
        return dumps(Failure.of(unpicklable(error)))
