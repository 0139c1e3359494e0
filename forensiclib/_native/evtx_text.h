/* What a BinXML value reads as, [MS-EVEN6] 2.2.12 to 2.2.18. Twin: _plain/evtx_values.py */
#ifndef FORENSICLIB_EVTX_TEXT_H
#define FORENSICLIB_EVTX_TEXT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EV_NULL = 0, EV_STRING = 1, EV_ANSI = 2, EV_FLOAT = 11, EV_DOUBLE = 12, EV_BOOL = 13, EV_BINARY = 14, EV_GUID = 15,
    EV_SIZE_T = 16, EV_FILETIME = 17, EV_SYSTEMTIME = 18, EV_SID = 19, EV_HEX32 = 20, EV_HEX64 = 21, EV_BINXML = 33,
    EV_ARRAY = 128, EV_CHAR = 256, EV_ENTITY = 257, EV_BAD = 258
};

static const uint8_t ev_fixed[32] = {0, 0, 0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4, 0, 16, 0, 8, 16, 0, 4, 8};

static const char ev_hex[] = "0123456789abcdef";

static inline uint32_t ev_u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t ev_u32(const uint8_t *p) { return ev_u16(p) | ev_u16(p + 2) << 16; }
static inline uint64_t ev_u64(const uint8_t *p) { return (uint64_t)ev_u32(p) | (uint64_t)ev_u32(p + 4) << 32; }

/* A growing buffer. After a failed allocation writes are dropped and ``failed`` says so. */
typedef struct {
    uint8_t *data;
    size_t size, room;
    int failed;
} ev_buf;

static int ev_grow(ev_buf *b, size_t more) {
    size_t room = b->room ? b->room : 256;
    uint8_t *data;
    if (b->failed) return 0;
    while (room - b->size < more) room *= 2;
    data = (uint8_t *)realloc(b->data, room);
    if (data == NULL) {
        b->failed = 1;
        return 0;
    }
    b->data = data;
    b->room = room;
    return 1;
}

/* Room for ``more`` bytes; 0 when there is none. */
static inline int ev_need(ev_buf *b, size_t more) { return b->room - b->size >= more && !b->failed ? 1 : ev_grow(b, more); }

static inline void ev_put(ev_buf *b, const void *data, size_t size) {
    if (size && ev_need(b, size)) {
        memcpy(b->data + b->size, data, size);
        b->size += size;
    }
}

static inline void ev_byte(ev_buf *b, char c) {
    if (ev_need(b, 1)) b->data[b->size++] = (uint8_t)c;
}

#define EV_SAY(b, literal) ev_put(b, literal, sizeof(literal) - 1)

static void ev_decimal(ev_buf *b, uint64_t value, int width) {
    char digits[24];
    int at = 24;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (24 - at < width) digits[--at] = '0';
    ev_put(b, digits + at, (size_t)(24 - at));
}

static void ev_signed(ev_buf *b, int64_t value) {
    if (value < 0) ev_byte(b, '-');
    ev_decimal(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

static void ev_0x(ev_buf *b, uint64_t value, int width) {
    char digits[20];
    int at = 20;
    do {
        digits[--at] = ev_hex[value & 15];
        value >>= 4;
    } while (value || 20 - at < width);
    digits[--at] = 'x';
    digits[--at] = '0';
    ev_put(b, digits + at, (size_t)(20 - at));
}

static void ev_bytes_hex(ev_buf *b, const uint8_t *raw, size_t size) {
    size_t i;
    uint8_t *out;
    if (!ev_need(b, 2 * size + 1)) return;
    out = b->data + b->size;
    for (i = 0; i < size; i++) {
        *out++ = (uint8_t)ev_hex[raw[i] >> 4];
        *out++ = (uint8_t)ev_hex[raw[i] & 15];
    }
    b->size += 2 * size;
}

/* One code point as UTF-8, inside a JSON string when ``json``; at most 6 bytes. */
static inline uint8_t *ev_code(uint8_t *out, uint32_t c, int json) {
    if (c < 0x80) {
        if (json && (c < 32 || c == '"' || c == '\\')) {
            *out++ = '\\';
            switch (c) {
            case '"': case '\\': *out++ = (uint8_t)c; break;
            case '\n': *out++ = 'n'; break;
            case '\r': *out++ = 'r'; break;
            case '\t': *out++ = 't'; break;
            case '\b': *out++ = 'b'; break;
            case '\f': *out++ = 'f'; break;
            default:
                memcpy(out, "u00", 3);
                out[3] = (uint8_t)ev_hex[c >> 4];
                out[4] = (uint8_t)ev_hex[c & 15];
                out += 5;
            }
        } else {
            *out++ = (uint8_t)c;
        }
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xC0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xE0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *out++ = (uint8_t)(0x80 | (c & 63));
    } else {
        *out++ = (uint8_t)(0xF0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 63));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *out++ = (uint8_t)(0x80 | (c & 63));
    }
    return out;
}

/* UTF-16LE; a lone surrogate becomes U+FFFD. */
static void ev_utf16(ev_buf *b, const uint8_t *raw, size_t size, int json) {
    size_t at = 0, units = size / 2;
    uint8_t *out;
    if (!ev_need(b, 6 * units + 8)) return;
    out = b->data + b->size;
    while (at < units) {
        uint32_t c = ev_u16(raw + 2 * at++);
        if (c - 32 < 95 && c != '"' && c != '\\') {
            *out++ = (uint8_t)c;
            continue;
        }
        if (c >= 0xD800 && c < 0xE000) {
            uint32_t low = c < 0xDC00 && at < units ? ev_u16(raw + 2 * at) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                at++;
            } else {
                c = 0xFFFD;
            }
        }
        out = ev_code(out, c, json);
    }
    b->size = (size_t)(out - b->data);
}

/* UTF-8 that is already right, as the inside of a JSON string when ``json``. */
static void ev_utf8(ev_buf *b, const uint8_t *raw, size_t size, int json) {
    size_t i;
    uint8_t *out;
    if (!json) {
        ev_put(b, raw, size);
        return;
    }
    if (!ev_need(b, 6 * size + 8)) return;
    out = b->data + b->size;
    for (i = 0; i < size; i++) {
        if (raw[i] < 0x80) out = ev_code(out, raw[i], 1);
        else *out++ = raw[i];
    }
    b->size = (size_t)(out - b->data);
}

static const uint16_t ev_cp1252[32] = {
    0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0x8D, 0x17D, 0x8F,
    0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0x9D, 0x17E, 0x178
};

static void ev_ansi(ev_buf *b, const uint8_t *raw, size_t size, int json) {
    size_t i;
    uint8_t *out;
    if (!ev_need(b, 6 * size + 8)) return;
    out = b->data + b->size;
    for (i = 0; i < size; i++) out = ev_code(out, raw[i] >= 0x80 && raw[i] < 0xA0 ? ev_cp1252[raw[i] - 0x80] : raw[i], json);
    b->size = (size_t)(out - b->data);
}

/* The shortest of 6 to 9 (single) or 15 to 17 (double) digits that reads back the same. Returns
   whether it is finite. */
static int ev_real(ev_buf *b, const uint8_t *raw, int single) {
    char said[40];
    double value;
    int digits, i, last = single ? 9 : 17;
    if (single) {
        float narrow;
        uint32_t bits = ev_u32(raw);
        memcpy(&narrow, &bits, 4);
        value = narrow;
    } else {
        uint64_t bits = ev_u64(raw);
        memcpy(&value, &bits, 8);
    }
    if (value != value) {
        EV_SAY(b, "NaN");
        return 0;
    }
    if (value - value != 0) {
        if (value < 0) ev_byte(b, '-');
        EV_SAY(b, "Infinity");
        return 0;
    }
    for (digits = single ? 6 : 15; digits <= last; digits++) {
        double back;
        snprintf(said, sizeof(said), "%.*g", digits, value);
        back = strtod(said, NULL);
        if ((single ? (double)(float)back : back) == value) break;
    }
    for (i = 0; said[i]; i++) /* the host's locale may write a comma */
        if (strchr("0123456789+-e", said[i]) == NULL) said[i] = '.';
    ev_put(b, said, strlen(said));
    return 1;
}

static void ev_filetime(ev_buf *b, uint64_t ticks) {
    uint64_t seconds = ticks / 10000000, days = seconds / 86400, rest = seconds % 86400, fraction = ticks % 10000000;
    /* Civil date from days since 1601-01-01: count from 1600-03-01 in 400-year cycles of 146,097 days. */
    uint64_t z = days + 306, era = z / 146097, of_era = z % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), mp = (5 * of_year + 2) / 153;
    uint64_t day = of_year - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    ev_decimal(b, 1600 + era * 400 + year + (month <= 2), 4);
    ev_byte(b, '-');
    ev_decimal(b, month, 2);
    ev_byte(b, '-');
    ev_decimal(b, day, 2);
    ev_byte(b, 'T');
    ev_decimal(b, rest / 3600, 2);
    ev_byte(b, ':');
    ev_decimal(b, rest / 60 % 60, 2);
    ev_byte(b, ':');
    ev_decimal(b, rest % 60, 2);
    if (fraction) {
        ev_byte(b, '.');
        ev_decimal(b, fraction, 7);
    }
    ev_byte(b, 'Z');
}

static void ev_systemtime(ev_buf *b, const uint8_t *raw) {
    static const char marks[] = "--T::.";
    static const uint8_t at[] = {0, 2, 6, 8, 10, 12, 14}, width[] = {4, 2, 2, 2, 2, 2, 3};
    int i;
    for (i = 0; i < 7; i++) {
        ev_decimal(b, ev_u16(raw + at[i]), width[i]);
        if (i < 6) ev_byte(b, marks[i]);
    }
}

static void ev_guid(ev_buf *b, const uint8_t *raw) {
    static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    int i;
    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) ev_byte(b, '-');
        ev_bytes_hex(b, raw + order[i], 1);
    }
}

/* Bytes of the SID, or 0 when there is none. */
static size_t ev_sid_size(const uint8_t *raw, size_t size) {
    if (size < 8 || raw[0] != 1 || raw[1] > 15 || size < 8 + 4 * (size_t)raw[1]) return 0;
    return 8 + 4 * (size_t)raw[1];
}

static void ev_sid(ev_buf *b, const uint8_t *raw) {
    uint64_t authority = 0;
    int i;
    for (i = 2; i < 8; i++) authority = authority << 8 | raw[i];
    EV_SAY(b, "S-1-");
    if (authority >> 32) ev_0x(b, authority, 12);
    else ev_decimal(b, authority, 1);
    for (i = 0; i < raw[1]; i++) {
        ev_byte(b, '-');
        ev_decimal(b, ev_u32(raw + 8 + 4 * i), 1);
    }
}

/* Bytes of the array member at ``at`` and, in ``skip``, of what separates it from the next. 0 and 0
   when the bytes are no such array. ``at`` < size. */
static size_t ev_member(int base, const uint8_t *raw, size_t size, size_t at, size_t *skip) {
    size_t step = base == EV_STRING ? 2 : 1, end = at;
    *skip = 0;
    if (base == EV_STRING || base == EV_ANSI) {
        if (base == EV_STRING && size & 1) return 0;
        while (end < size && (raw[end] || (step == 2 && raw[end + 1]))) end += step;
        if (end < size) *skip = step;
        return end - at;
    }
    if (base == EV_SID) return ev_sid_size(raw + at, size - at);
    step = base < 32 ? ev_fixed[base] : 0;
    return step && size - at >= step ? step : 0;
}

/* Whether the bytes are the array that ``kind`` says. */
static int ev_is_array(int kind, const uint8_t *raw, size_t size) {
    int base = kind & 127;
    size_t at = 0, skip, got;
    if (base != EV_STRING && base != EV_ANSI && base != EV_SID && !(base < 32 && ev_fixed[base])) return 0;
    if (base == EV_STRING) return !(size & 1);
    if (base != EV_SID) return base == EV_ANSI || size % ev_fixed[base] == 0;
    while (at < size) {
        got = ev_member(base, raw, size, at, &skip);
        if (got == 0) return 0;
        at += got;
    }
    return 1;
}

/* The kind under which bytes of a stated type are kept: itself, EV_NULL or EV_BAD. */
static int ev_checked(int kind, const uint8_t *raw, size_t size) {
    if (kind == EV_STRING) return size & 1 ? EV_BAD : kind;
    if (kind == EV_ANSI || kind == EV_BINARY || kind == EV_NULL) return kind;
    if (kind & EV_ARRAY) return ev_is_array(kind, raw, size) ? kind : EV_BAD;
    if (size == 0) return EV_NULL;
    if (kind == EV_SID) return ev_sid_size(raw, size) ? kind : EV_BAD;
    if (kind == EV_SIZE_T) return size == 4 || size == 8 ? kind : EV_BAD;
    return kind < 32 && ev_fixed[kind] == size ? kind : EV_BAD;
}

/* What a checked value of one member reads as. Returns 1 when JSON writes it without quotes. */
static int ev_scalar(ev_buf *b, int kind, const uint8_t *raw, size_t size, int json) {
    size_t i;
    switch (kind) {
    case EV_STRING:
        while (size && raw[size - 1] == 0 && raw[size - 2] == 0) size -= 2;
        ev_utf16(b, raw, size, json);
        return 0;
    case EV_ANSI:
        while (size && raw[size - 1] == 0) size--;
        ev_ansi(b, raw, size, json);
        return 0;
    case EV_CHAR: ev_utf16(b, raw, size, json); return 0;
    case 3: ev_signed(b, (int8_t)raw[0]); return 1;
    case 4: ev_decimal(b, raw[0], 1); return 1;
    case 5: ev_signed(b, (int16_t)ev_u16(raw)); return 1;
    case 6: ev_decimal(b, ev_u16(raw), 1); return 1;
    case 7: ev_signed(b, (int32_t)ev_u32(raw)); return 1;
    case 8: ev_decimal(b, ev_u32(raw), 1); return 1;
    case 9: ev_signed(b, (int64_t)ev_u64(raw)); return 1;
    case 10: ev_decimal(b, ev_u64(raw), 1); return 1;
    case EV_FLOAT: return ev_real(b, raw, 1);
    case EV_DOUBLE: return ev_real(b, raw, 0);
    case EV_BOOL:
        for (i = 0; i < size && raw[i] == 0; i++) {}
        if (i < size) EV_SAY(b, "true");
        else EV_SAY(b, "false");
        return 1;
    case EV_GUID: ev_guid(b, raw); return 0;
    case EV_SIZE_T: case EV_HEX32: case EV_HEX64: ev_0x(b, size == 4 ? ev_u32(raw) : ev_u64(raw), 1); return 0;
    case EV_FILETIME: ev_filetime(b, ev_u64(raw)); return 0;
    case EV_SYSTEMTIME: ev_systemtime(b, raw); return 0;
    case EV_SID: ev_sid(b, raw); return 0;
    default: ev_bytes_hex(b, raw, size); return 0;
    }
}

/* A checked value as text; members of an array are joined by ", ". */
static void ev_text(ev_buf *b, int kind, const uint8_t *raw, size_t size, int json) {
    size_t at = 0, skip, got;
    if (kind == EV_NULL) return;
    if (kind >= 256 || !(kind & EV_ARRAY)) {
        ev_scalar(b, kind, raw, size, json);
        return;
    }
    while (at < size) {
        if (at) EV_SAY(b, ", ");
        got = ev_member(kind & 127, raw, size, at, &skip);
        ev_scalar(b, kind & 127, raw + at, got, json);
        at += got + skip;
    }
}

static void ev_json_scalar(ev_buf *b, int kind, const uint8_t *raw, size_t size) {
    size_t quote = b->size;
    ev_byte(b, '"');
    if (!ev_scalar(b, kind, raw, size, 1)) {
        ev_byte(b, '"');
    } else if (!b->failed) {
        memmove(b->data + quote, b->data + quote + 1, b->size - quote - 1);
        b->size--;
    }
}

/* The members of an array value as JSON, without brackets. */
static void ev_json_members(ev_buf *b, int kind, const uint8_t *raw, size_t size) {
    size_t at = 0, skip, got;
    while (at < size) {
        if (at) ev_byte(b, ',');
        got = ev_member(kind & 127, raw, size, at, &skip);
        ev_json_scalar(b, kind & 127, raw + at, got);
        at += got + skip;
    }
}

static void ev_json_value(ev_buf *b, int kind, const uint8_t *raw, size_t size) {
    if (kind == EV_NULL) {
        EV_SAY(b, "null");
    } else if (kind < 256 && kind & EV_ARRAY) {
        ev_byte(b, '[');
        ev_json_members(b, kind, raw, size);
        ev_byte(b, ']');
    } else {
        ev_json_scalar(b, kind, raw, size);
    }
}

/* ISO 8601 with Z -> ns since 1970, years 1700 to 2199. Returns 0 when it is not that. */
static int ev_iso_ns(const uint8_t *s, size_t size, int64_t *ns) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t f[6] = {0}, fraction = 0, scale = 100000000, days, y;
    int field = 0, leap;
    size_t i;
    if (size < 20 || s[size - 1] != 'Z') return 0;
    for (i = 0; i < 19; i++) {
        if (shape[i] != 'd') {
            if (s[i] != (uint8_t)shape[i]) return 0;
            field++;
        } else {
            if (s[i] < '0' || s[i] > '9') return 0;
            f[field] = f[field] * 10 + (s[i] - '0');
        }
    }
    if (size > 20) {
        if (s[19] != '.' || size < 22 || size > 30) return 0;
        for (i = 20; i < size - 1; i++, scale /= 10) {
            if (s[i] < '0' || s[i] > '9') return 0;
            fraction += (s[i] - '0') * scale;
        }
    }
    leap = f[0] % 4 == 0 && (f[0] % 100 != 0 || f[0] % 400 == 0);
    if (f[0] < 1700 || f[0] > 2199 || f[1] < 1 || f[1] > 12 || f[2] < 1 || f[3] > 23 || f[4] > 59 || f[5] > 59) return 0;
    if (f[2] > lengths[f[1] - 1] + (f[1] == 2 && leap)) return 0;
    y = f[1] <= 2 ? f[0] - 1 : f[0];
    days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * (f[1] > 2 ? f[1] - 3 : f[1] + 9) + 2) / 5 + f[2] - 1 - 719468;
    *ns = ((days * 86400 + f[3] * 3600 + f[4] * 60 + f[5]) * 1000000000) + fraction;
    return 1;
}

#endif
