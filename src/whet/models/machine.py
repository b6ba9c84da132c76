"""What kernels of machine code share; imported where numba is installed (`whet[fast]`)."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Sums in any order and fused multiplications let the processor work on eight or sixteen numbers at a time; infinite
# numbers and NaN keep their meaning.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",  # a check of each divisor would keep loops from being vectorised
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}


def widen(builder: Any) -> None:
    """Let the function that is being compiled use registers of 512 bits, where there are some.

    For Intel's processors LLVM is content with 256, to spare old ones among them their clock; here they are slower.
    """
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite knows attributes without values only


def everywhere(builder: Any, number: Any, lanes: int) -> Any:
    """A register with a number in each of its lanes."""
    undefined = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _numbers(kind: Any, stored: Any) -> Any:
    """A function that gives numbers from an address on, for `carray`; what asks for them may use wide registers."""

    @intrinsic
    def numbers(_: Any, address: Any) -> Any:  # noqa: ARG001
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            widen(builder)
            return builder.inttoptr(arguments[0], stored.as_pointer())

        return types.CPointer(kind)(types.int64), generate

    return numbers


floats = _numbers(types.float32, ir.FloatType())
words = _numbers(types.int32, ir.IntType(32))
"""Such as the bits of numbers."""
integers = _numbers(types.int64, ir.IntType(64))


def call_ahead(builder: Any, address: Any) -> None:
    """Have the processor fetch what is at an address into the second cache, to be read soon."""
    byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(prefetch, [address, whole(0), whole(2), whole(1)])


@intrinsic
def fetch(_: Any, address: Any) -> Any:  # noqa: ARG001
    """The same for kernels; nothing happens where there is no memory."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        call_ahead(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), generate
