# Buffers that the NTFS kernels fill.

from libc.stdlib cimport realloc
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.object cimport PyObject

cdef extern from "pages.h":
    void forensiclib_large_pages(void* data, size_t size) nogil

# A buffer that grows, in malloc's memory or in a bytearray (``owner``, then nothing is copied at the end);
# ``bad`` is set when memory is out, and stays set.
cdef struct MftGrow:
    PyObject* owner
    unsigned char* data
    size_t used
    size_t room
    bint bad


cdef bint mft_resize(MftGrow* grow, size_t room) noexcept with gil:
    # Grow the bytearray behind a buffer; the new bytes are not touched.
    try:
        PyByteArray_Resize(<object>grow.owner, room)
    except (MemoryError, BufferError):
        return False
    grow.data, grow.room = <unsigned char*>PyByteArray_AS_STRING(<object>grow.owner), room
    forensiclib_large_pages(grow.data, room)
    return True


cdef bint mft_more(MftGrow* grow, size_t room) noexcept nogil:
    # Room for at least that many bytes; False and ``bad`` when there is none.
    cdef size_t made = grow.room * 2 if grow.room else 4096
    cdef unsigned char* moved
    if grow.bad:
        return False
    made = max(made, room)
    if grow.owner != NULL:
        grow.bad = not mft_resize(grow, made)
        return not grow.bad
    moved = <unsigned char*>realloc(grow.data, made)
    if moved == NULL:
        grow.bad = True
        return False
    grow.data, grow.room = moved, made
    forensiclib_large_pages(moved, made)
    return True


cdef inline void* mft_take(MftGrow* grow, size_t n) noexcept nogil:
    # ``n`` more bytes at the end, or NULL.
    if grow.used + n > grow.room and not mft_more(grow, grow.used + n):
        return NULL
    grow.used += n
    return grow.data + grow.used - n


cdef int mft_own(MftGrow* grow, object owner, size_t used, size_t room) except -1:
    # A buffer in the memory of a bytearray, ``used`` bytes of it filled; room for so many is taken when it is empty.
    if type(owner) is not bytearray or used > <size_t>len(owner):
        raise ValueError("table")
    grow.owner, grow.used, grow.room, grow.bad = <PyObject*>owner, used, len(owner), False
    grow.data = <unsigned char*>PyByteArray_AS_STRING(owner)
    if room and not grow.room and not mft_resize(grow, room):
        raise MemoryError("NTFS listing")
    return 0


cdef bytes mft_bytes(MftGrow* grow):
    if grow.bad:
        raise MemoryError("NTFS listing")
    return grow.data[: grow.used] if grow.used else b""
