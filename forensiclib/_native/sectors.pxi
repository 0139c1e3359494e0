# Sectors of disk encryption. Twin: _plain/sectors.py

from libc.stdint cimport int64_t, uint8_t, uint64_t

from forensiclib._plain.sectors import sector_checks as _sector_checks
from forensiclib._plain.sectors import sectors_decrypt as _sectors_plain


cdef extern from "sectors.h":
    ctypedef struct sector_key:
        pass
    ctypedef struct lrw_table:
        pass
    void sectors_init()
    int aes_best_level()
    void sector_key_open(sector_key* k, int cipher, const uint8_t* key, int size) nogil
    void lrw_open(lrw_table* t, const uint8_t* key) nogil
    void sectors_run(const sector_key* k, const sector_key* tweak, const lrw_table* lrw, int mode, uint8_t* data, int64_t size, int64_t unit,
                     uint64_t first, uint64_t step, const uint8_t* ivs, int level) nogil


sectors_init()
cdef int _sector_best = aes_best_level()
SECTOR_LEVELS = ("portable", "aes-ni", "vaes")[: _sector_best + 1]
_sector_ciphers = {"aes": 0, "serpent": 1, "twofish": 2, "camellia": 3, "kuznyechik": 4}
_sector_modes = {"ecb": 0, "ecb-encrypt": 1, "cbc": 2, "xts": 3, "lrw": 4}


def sectors_decrypt(cipher, mode, const unsigned char[::1] key not None, const unsigned char[::1] tweak not None, unsigned char[::1] data not None,
                    unit, first=0, step=1, ivs=b"", level=None):
    """Decrypt whole sectors in place. See the plain twin for the contract."""
    _sector_checks(cipher, mode, key, tweak, data, unit, ivs)
    cdef int way = _sector_best if level is None else level
    if not 0 <= way <= _sector_best:
        raise ValueError(f"level {way}; there are {_sector_best + 1}")
    if cipher not in _sector_ciphers:
        _sectors_plain(cipher, mode, key, tweak, data, unit, first, step, ivs)
        return
    cdef int kind = _sector_ciphers[cipher], how = _sector_modes[mode], size = <int> key.shape[0], extra = <int> tweak.shape[0]
    cdef int64_t grain = unit, length = data.shape[0]
    cdef uint64_t begin = first & 0xFFFFFFFFFFFFFFFF, gap = step
    cdef const unsigned char[::1] values = ivs
    cdef sector_key main, second
    cdef lrw_table table
    if length == 0:
        return
    with nogil:
        sector_key_open(&main, kind, &key[0], size)
        if how == 4:
            lrw_open(&table, &tweak[0])
        elif extra:
            sector_key_open(&second, kind, &tweak[0], extra)
        sectors_run(&main, &second if extra and how != 4 else NULL, &table, how, &data[0], length, grain, begin, gap,
                    &values[0] if values.shape[0] else NULL, way)
