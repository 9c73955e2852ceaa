"""Products of small matrices that stay in the registers of a processor until they are complete.

A compiler left alone fetches and stores its sums in every round of a loop, and uses half of the
widest registers. These operations are written in its own language of vectors, which any processor
has in some width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ROWS = 4  # of a product at a time
LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8  # numbers in a vector
WIDE, WIDEST = (
    2 * LANES,
    3 * LANES,
)  # columns at a time: twelve sums, as many as all processors have room for
NARROWEST = 8


def _adder(width: int) -> Callable:
    """``total[i, j] += left[i, :n] @ right[:n, j]`` for ROWS rows from ``row`` and ``width``
    columns from ``column`` on. Rows lie in one piece but for those of ``left``, which may be
    transposed; no place is checked."""
    lanes = min(width, LANES)

    @intrinsic
    def add(typing: Any, total: Any, left: Any, right: Any, row: Any, column: Any, n: Any) -> Any:
        return types.void(total, left, right, *[types.intp] * 3), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.args[0].dtype)
        vector, size = ir.VectorType(kind, lanes), kind.get_abi_size(context.target_data)
        total, left, right = (
            context.make_array(matrix)(context, builder, value)
            for matrix, value in zip(signature.args[:3], arguments)
        )
        row, column, n = arguments[3:]

        def places(matrix: Any, i: Any) -> list[Any]:
            """Where the vectors of a row begin."""
            first = builder.add(_start(builder, matrix, i), column)
            starts = (builder.add(first, first.type(j)) for j in range(0, width, lanes))
            pointers = (builder.gep(matrix.data, [start]) for start in starts)
            return [builder.bitcast(pointer, vector.as_pointer()) for pointer in pointers]

        rows = [builder.add(row, row.type(i)) for i in range(ROWS)]
        targets = [place for i in rows for place in places(total, i)]
        sums = [
            cgutils.alloca_once_value(builder, builder.load(target, align=size))
            for target in targets
        ]
        with cgutils.for_range(builder, n) as loop:
            weights = [builder.load(place, align=size) for place in places(right, loop.index)]
            numbers = (builder.load(_entry(builder, left, i, loop.index)) for i in rows)
            repeated = [_repeat(builder, number, vector) for number in numbers]
            pairs = ((factor, weight) for factor in repeated for weight in weights)
            for sum_, (factor, weight) in zip(sums, pairs, strict=True):
                product = builder.fmul(factor, weight, flags=["contract"])
                added = builder.fadd(builder.load(sum_), product, flags=["contract"])
                builder.store(added, sum_)
        for target, sum_ in zip(targets, sums):
            builder.store(builder.load(sum_), target, align=size)
        return context.get_dummy_value()

    return add


@intrinsic
def add_multiple(typing: Any, total: Any, i: Any, factor: Any, vectors: Any, k: Any) -> Any:
    """``total[i] += factor * vectors[k]`` for rows of whole LANES; no place is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, i, factor, vectors, k = arguments
        kind = context.get_value_type(signature.args[0].dtype)
        vector, size = ir.VectorType(kind, LANES), kind.get_abi_size(context.target_data)
        total = context.make_array(signature.args[0])(context, builder, total)
        vectors = context.make_array(signature.args[3])(context, builder, vectors)
        starts = _start(builder, total, i), _start(builder, vectors, k)
        repeated = _repeat(builder, factor, vector)
        n, step = builder.extract_value(total.shape, 1), ir.Constant(starts[0].type, LANES)
        with cgutils.for_range_slice(builder, step.type(0), n, step, step.type) as (column, _):
            target, source = (
                builder.bitcast(
                    builder.gep(matrix.data, [builder.add(start, column)]), vector.as_pointer()
                )
                for matrix, start in zip((total, vectors), starts)
            )
            product = builder.fmul(repeated, builder.load(source, align=size), flags=["contract"])
            added = builder.fadd(builder.load(target, align=size), product, flags=["contract"])
            builder.store(added, target, align=size)
        return context.get_dummy_value()

    return types.void(total, types.intp, total.dtype, vectors, types.intp), generate


def _start(builder: Any, matrix: Any, row: Any) -> Any:
    """Of a row, in numbers."""
    return builder.mul(row, builder.extract_value(matrix.shape, 1))


def _entry(builder: Any, matrix: Any, row: Any, column: Any) -> Any:
    """Where a number is."""
    strides = (builder.extract_value(matrix.strides, axis) for axis in range(2))
    parts = (builder.mul(index, stride) for index, stride in zip((row, column), strides))
    return cgutils.pointer_add(builder, matrix.data, builder.add(*parts))


def _repeat(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    """A vector of one number."""
    empty, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(empty, number, index(0))
    return builder.shuffle_vector(first, empty, ir.VectorType(index, vector.count)(None))


add_widest, add_wide, add_vector, add_narrowest = map(_adder, (WIDEST, WIDE, LANES, NARROWEST))
