"""Vectors for numba kernels: loads, stores and arithmetic of several numbers at once.

numba leaves it to LLVM whether a loop becomes vector code, and LLVM gives up on loops over more than a few arrays, which
wavelet kernels are. Here a vector is a type, as in C with intrinsics but for every processor: LLVM cuts a vector of 64
numbers into what the machine has. A kernel is given addresses (`tensor.data_ptr()`); nothing here checks a bound.

    x = pointer(address, numpy.float32(0))      # the second argument only says the type
    store(y, j, load(x, j, 16) + splat(numpy.float32(2), 16))

The number of lanes is a literal in `load` and `splat`; one of 1 makes the same code scalar, for what is left of a row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.core.typing.templates import signature as sign
from numba.extending import lower_builtin, register_model

intrinsic: Any = extending.intrinsic

LINE = 64  # bytes of a cache line; `stream` writes whole ones


class Vector(types.Type):
    """`lanes` numbers of `dtype`."""

    def __init__(self, dtype: types.Type, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Vector) -> None:
        element = manager.lookup(of.dtype).get_value_type()
        super().__init__(manager, of, ir.VectorType(element, of.lanes))


@intrinsic
def pointer(_: Any, address: Any, like: Any) -> Any:
    """`address` as a pointer to numbers of the type of `like`. `p[i]` reads and writes one of them."""
    typed = types.CPointer(like)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(typed))

    return typed(address, like), code


@intrinsic
def ahead(_: Any, p: Any, count: Any) -> Any:
    """The pointer `count` numbers further."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return p(p, count), code


@intrinsic(prefer_literal=True)
def load(_: Any, p: Any, index: Any, lanes: Any) -> Any:
    """The vector of the `lanes` numbers from p[index] on."""
    vector = Vector(p.dtype, lanes.literal_value)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place, size = _place(context, builder, args[0], args[1], vector.lanes)
        return builder.load(place, align=size)

    return vector(p, index, lanes), code


def _storing(name: str, streaming: bool) -> Any:
    def function(_: Any, p: Any, index: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place, size = _place(context, builder, args[0], args[1], value.lanes)
            done = builder.store(args[2], place, align=LINE if streaming else size)
            if streaming:
                done.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
            return context.get_dummy_value()

        return types.void(p, index, value), code

    function.__name__ = name
    return intrinsic(function)


store = _storing("store", streaming=False)  # store(p, index, vector)
# The same past the caches, for results larger than they are: nothing is read before it is overwritten. p[index] must start
# a cache line, and the vector fill whole ones.
stream = _storing("stream", streaming=True)


def _place(context: Any, builder: Any, p: Any, index: Any, lanes: int) -> tuple[Any, int]:
    size = context.get_abi_sizeof(p.type.pointee)
    return builder.bitcast(builder.gep(p, [index]), ir.VectorType(p.type.pointee, lanes).as_pointer()), size


@intrinsic(prefer_literal=True)
def splat(_: Any, value: Any, lanes: Any) -> Any:
    """The vector with `value` in each of `lanes` lanes."""
    vector = Vector(value, lanes.literal_value)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(context.get_value_type(vector), ir.Undefined)
        one = builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, undefined, _mask([0] * vector.lanes))

    return vector(value, lanes), code


@intrinsic
def fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """a · b + c, rounded once where the machine can."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        name = f"llvm.fmuladd.v{kind.count}{'f32' if str(kind.element) == 'float' else 'f64'}"
        return builder.call(builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind] * 3)), args)

    return a(a, b, c), code


def _shuffling(name: str, lanes: Callable[[int], Sequence[int]]) -> Any:
    def function(_: Any, a: Any, b: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.shuffle_vector(args[0], args[1], _mask(lanes(a.lanes)))

        return a(a, b), code

    function.__name__ = name
    return intrinsic(function)


def _mask(lanes: Sequence[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))


# of the row a b: every second number, and its opposite: a and b with their numbers taking turns
evens = _shuffling("evens", lambda n: range(0, 2 * n, 2))
odds = _shuffling("odds", lambda n: range(1, 2 * n, 2))
following = _shuffling("following", lambda n: range(1, n + 1))  # the row from its second number on
preceding = _shuffling("preceding", lambda n: range(n - 1, 2 * n - 1))  # b one number earlier: the last of a, then b's
zipped_first = _shuffling("zipped_first", lambda n: [i // 2 + n * (i % 2) for i in range(n)])
zipped_last = _shuffling("zipped_last", lambda n: [(n + i) // 2 + n * ((n + i) % 2) for i in range(n)])


def _arithmetic(symbol: Any, instruction: str) -> None:
    @infer_global(symbol)
    class Typed(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            a, b = args
            return sign(a, a, b) if isinstance(a, Vector) and a == b else None

    @lower_builtin(symbol, Vector, Vector)
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
