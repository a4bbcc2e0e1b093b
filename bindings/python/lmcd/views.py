"""Views over shared memory that raise once their lease has ended.

A view is memory-safe for ever: it keeps the mapping, and its lease at the daemon, alive. After
the lease was left in Python, every use through the view itself raises Released, and in a forked
child Forked. What numpy and torch do not ask the view about (numpy.asarray(view),
`other[:] = view`) is safe as well, but bytes read so count only if the lease still validates;
`Buffer.copy_to` is the copy that knows. In a child such bytes are zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lmcd._ffi import Asked
from lmcd.errors import LmcdError, Released

if TYPE_CHECKING:
    from lmcd.lease import Term


# What leads to the memory by a name of Python's own.
_DOORS = frozenset(
    (
        *(
            "__array__",
            "__array_interface__",
            "__array_struct__",
            "__dlpack__",
            "__dlpack_device__",
        ),
        *("__reduce__", "__reduce_ex__"),
    )
)


class SharedArray(Asked, np.ndarray[Any, np.dtype[Any]]):
    """A numpy array over shared memory."""

    _term: Term | None

    def __array_finalize__(self, parent: Any) -> None:
        # A slice shares the memory and its term; a copy or a result has memory of its own.
        shares = isinstance(parent, SharedArray) and not self.flags.owndata
        object.__setattr__(self, "_term", parent.__dict__.get("_term") if shares else None)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: Any, *inputs: Any, out: Any = (), **options: Any
    ) -> Any:
        results = tuple(_plain(result) for result in out)
        if out:
            options["out"] = results
        value = getattr(ufunc, method)(*map(_plain, inputs), **options)
        return out[0] if len(out) == 1 else out or value

    def __array_function__(
        self,
        function: Any,
        types: Iterable[type],
        args: Iterable[Any],
        options: Mapping[str, Any],
    ) -> Any:
        for argument in _flat((args, dict(options))):
            _check(argument)
        return super().__array_function__(function, types, args, options)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__") or name in _DOORS:
            _check(self)
        return super().__getattribute__(name)

    def _before_export(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        try:
            _check(self)
        except LmcdError as error:
            return f"<SharedArray: {error}>"
        return super().__repr__()


def _guarded(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    def method(self: SharedArray, *arguments: Any) -> Any:
        _check(self)
        return plain(self, *arguments)

    method.__name__ = name
    return method


# What Python calls by the type and not by the attribute.
for _name in (
    *("__getitem__", "__setitem__", "__len__", "__iter__", "__contains__", "__bool__", "__int__"),
    *("__float__", "__complex__", "__index__", "__copy__", "__deepcopy__", "__str__"),
):
    setattr(SharedArray, _name, _guarded(_name))


def _check(value: Any) -> None:
    """Raise if `value` is a view whose lease has ended, or is a parent's."""
    if isinstance(value, SharedArray):
        term = object.__getattribute__(value, "__dict__").get("_term")
        if term is not None:
            term.check()


def _plain(value: Any) -> Any:
    """Return the array that `value` is a view of, if its lease goes on."""
    _check(value)
    return np.ndarray.view(value, np.ndarray) if isinstance(value, SharedArray) else value


def array_over(view: memoryview, dtype: Any, shape: Any, term: Term) -> SharedArray:
    """View memory as an array. It is read-only when the memory is."""
    array = np.frombuffer(view, dtype=dtype)
    shaped: SharedArray = array.reshape(array.shape if shape is None else shape).view(SharedArray)
    object.__setattr__(shaped, "_term", term)
    return shaped


@cache
def _tensor_class() -> Any:
    """Make the class of tensors over shared memory, where there is torch."""
    import torch

    class SharedTensor(torch.Tensor):  # type: ignore[misc,unused-ignore]
        """A torch tensor over shared memory."""

        _term: Term
        _writable: bool

        @classmethod
        def __torch_function__(
            cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            shared = [one for one in _flat((args, kwargs or {})) if isinstance(one, cls)]
            for tensor in shared:
                tensor._term.check()
                if not tensor._writable and _writes(function, args, kwargs or {}, tensor):
                    raise Released("this tensor is leased to be read")
            with torch._C.DisableTorchFunctionSubclass():
                result = function(*args, **(kwargs or {}))
                return _shared_result(result, shared)

    def _shared_result(result: Any, shared: list[Any]) -> Any:
        """Guard a result that is a view of a guarded tensor."""
        if isinstance(result, tuple | list):
            return type(result)(_shared_result(one, shared) for one in result)
        if not isinstance(result, torch.Tensor):
            return result
        for tensor in shared:
            if result.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
                view = result.as_subclass(SharedTensor)
                view._term, view._writable = tensor._term, tensor._writable
                return view
        return result

    return SharedTensor


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, tuple | list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, dict):
        yield from _flat(list(value.values()))
    else:
        yield value


def _writes(function: Any, args: Any, options: dict[str, Any], tensor: Any) -> bool:
    """Tell whether a torch function writes into `tensor`: x.f_(...), x[...] = or out=x."""
    if any(one is tensor for one in _flat(options.get("out", ()))):
        return True
    name = getattr(function, "__name__", "")
    in_place = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
    return in_place and bool(args) and args[0] is tensor


def tensor_over(view: memoryview, dtype: Any, shape: Any, term: Term, writable: bool) -> Any:
    """View memory as a torch tensor on the CPU. One not `writable` refuses torch's writes."""
    import torch

    flat = torch.frombuffer(view, dtype=dtype)
    tensor = flat.reshape(flat.shape if shape is None else shape).as_subclass(_tensor_class())
    tensor._term, tensor._writable = term, writable
    return tensor
