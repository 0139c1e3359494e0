/* A decoded event as columns and compact JSON. Twin: _plain/evtx_json.py */
#ifndef FORENSICLIB_EVTX_JSON_H
#define FORENSICLIB_EVTX_JSON_H

#include "evtx_binxml.h"

/* Columns of the System part, in the order of the kernel's output. */
enum {
    EV_C_EVENT_ID, EV_C_QUALIFIERS, EV_C_VERSION, EV_C_LEVEL, EV_C_TASK, EV_C_OPCODE, EV_C_RECORD_ID, EV_C_PROCESS, EV_C_THREAD,
    EV_C_CREATED, EV_INTEGERS, EV_C_PROVIDER = EV_INTEGERS, EV_C_GUID, EV_C_SOURCE, EV_C_KEYWORDS, EV_C_CHANNEL, EV_C_COMPUTER,
    EV_C_USER, EV_C_ACTIVITY, EV_C_RELATED, EV_C_DATA, EV_COLUMNS
};
enum { EV_TEXTS = EV_COLUMNS - EV_INTEGERS };

typedef struct {
    ev_ctx x;
    ev_buf integers[EV_INTEGERS], texts[EV_TEXTS]; /* int64; UTF-8 */
    ev_buf offsets[EV_TEXTS];                      /* int64, behind each value */
    ev_buf valid[EV_COLUMNS];
    int64_t number[EV_INTEGERS]; /* of the record in hand */
    uint8_t set[EV_COLUMNS];
} ev_columns;

static void ev_piece_text(ev_ctx *x, ev_buf *b, const ev_piece *p, int json) {
    static const char *const entities[] = {"amp", "&", "lt", "<", "gt", ">", "quot", "\"", "apos", "'"};
    const ev_name *name;
    int i;
    if (p->kind != EV_ENTITY) {
        ev_text(b, p->kind, x->data + p->at, p->size, json);
        return;
    }
    name = ev_name_of(x, (int32_t)p->at);
    for (i = 0; i < 10; i += 2) {
        if (strlen(entities[i]) == name->raw_size && memcmp(entities[i], x->letters.data + name->raw, name->raw_size) == 0) {
            ev_utf8(b, (const uint8_t *)entities[i + 1], 1, json);
            return;
        }
    }
    ev_byte(b, '&');
    ev_utf8(b, x->letters.data + name->raw, name->raw_size, json);
    ev_byte(b, ';');
}

static int ev_some(const ev_ctx *x, int32_t piece) {
    while (piece >= 0 && x->pieces[piece].kind == EV_NULL) piece = x->pieces[piece].next;
    return piece >= 0;
}

static void ev_joined(ev_ctx *x, ev_buf *b, int32_t piece, int json) {
    for (; piece >= 0; piece = x->pieces[piece].next) ev_piece_text(x, b, x->pieces + piece, json);
}

static int ev_number(const uint8_t *s, size_t size, int64_t *value) {
    uint64_t v = 0;
    size_t i, start = size && s[0] == '-';
    if (size >= 3 && size <= 17 && s[0] == '0' && s[1] == 'x') {
        for (i = 2; i < size; i++) {
            if (s[i] >= '0' && s[i] <= '9') v = v << 4 | (uint64_t)(s[i] - '0');
            else if (s[i] >= 'a' && s[i] <= 'f') v = v << 4 | (uint64_t)(s[i] - 'a' + 10);
            else return 0;
        }
        *value = (int64_t)v;
        return 1;
    }
    if (size == start || size - start > 18) return 0;
    for (i = start; i < size; i++) {
        if (s[i] < '0' || s[i] > '9') return 0;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    *value = start ? -(int64_t)v : (int64_t)v;
    return 1;
}

/* A piece alone that is a small integer or a FILETIME: its number without the way over text. */
static int ev_number_of(const ev_ctx *x, const ev_piece *p, int created, int64_t *value) {
    const uint8_t *raw = x->data + p->at;
    uint64_t ticks;
    if (p->next >= 0) return 0;
    if (created) {
        if (p->kind != EV_FILETIME) return 0;
        ticks = ev_u64(raw);
        if (ticks < 31241376000000000ull || ticks >= 189025920000000000ull) return 0; /* years 1700 to 2199 */
        *value = ((int64_t)ticks - 116444736000000000ll) * 100;
        return 1;
    }
    switch (p->kind) {
    case 3: *value = (int8_t)raw[0]; return 1;
    case 4: *value = raw[0]; return 1;
    case 5: *value = (int16_t)ev_u16(raw); return 1;
    case 6: *value = ev_u16(raw); return 1;
    case 7: *value = (int32_t)ev_u32(raw); return 1;
    case 8: *value = ev_u32(raw); return 1;
    default: return 0;
    }
}

/* A GUID in braces becomes lower case without them; returns the new size. */
static size_t ev_unbrace(uint8_t *s, size_t size) {
    size_t i;
    if (size != 38 || s[0] != '{' || s[37] != '}') return size;
    for (i = 1; i < 37; i++) {
        if (i == 9 || i == 14 || i == 19 || i == 24) {
            if (s[i] != '-') return size;
        } else if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f') || (s[i] >= 'A' && s[i] <= 'F'))) {
            return size;
        }
    }
    for (i = 1; i < 37; i++) s[i - 1] = (uint8_t)(s[i] >= 'A' && s[i] <= 'F' ? s[i] + 32 : s[i]);
    return 36;
}

/* Put the text of the pieces into a column that has none yet; whether it is there now. */
static int ev_take(ev_columns *c, int column, int32_t piece) {
    ev_ctx *x = &c->x;
    ev_buf *b;
    size_t before;
    if (!ev_some(x, piece)) return 1;
    if (c->set[column]) return 0;
    if (column < EV_INTEGERS) {
        int ok = ev_number_of(x, x->pieces + piece, column == EV_C_CREATED, c->number + column);
        if (!ok) {
            x->scratch.size = 0;
            ev_joined(x, &x->scratch, piece, 0);
            ok = column == EV_C_CREATED ? ev_iso_ns(x->scratch.data, x->scratch.size, c->number + column)
                                        : ev_number(x->scratch.data, x->scratch.size, c->number + column);
        }
        c->set[column] = (uint8_t)ok;
        return ok;
    }
    b = c->texts + (column - EV_INTEGERS);
    before = b->size;
    ev_joined(x, b, piece, 0);
    if (!b->failed && b->size > before) b->size = before + ev_unbrace(b->data + before, b->size - before);
    c->set[column] = 1;
    return 1;
}

static int ev_shown(const ev_ctx *x, const ev_attribute *a) {
    return !a->taken && !ev_name_of(x, a->name)->is_namespace && ev_some(x, a->first);
}

static int ev_any_shown(const ev_ctx *x, int32_t attribute) {
    for (; attribute >= 0; attribute = x->attributes[attribute].next)
        if (ev_shown(x, x->attributes + attribute)) return 1;
    return 0;
}

static int ev_content_column(int role) {
    switch (role) {
    case EV_R_EVENT_ID: return EV_C_EVENT_ID;
    case EV_R_VERSION: return EV_C_VERSION;
    case EV_R_LEVEL: return EV_C_LEVEL;
    case EV_R_TASK: return EV_C_TASK;
    case EV_R_OPCODE: return EV_C_OPCODE;
    case EV_R_RECORD_ID: return EV_C_RECORD_ID;
    case EV_R_KEYWORDS: return EV_C_KEYWORDS;
    case EV_R_CHANNEL: return EV_C_CHANNEL;
    case EV_R_COMPUTER: return EV_C_COMPUTER;
    default: return -1;
    }
}

static int ev_attribute_column(int element, int attribute) {
    switch (element << 8 | attribute) {
    case EV_R_EVENT_ID << 8 | EV_R_QUALIFIERS: return EV_C_QUALIFIERS;
    case EV_R_EXECUTION << 8 | EV_R_PROCESS: return EV_C_PROCESS;
    case EV_R_EXECUTION << 8 | EV_R_THREAD: return EV_C_THREAD;
    case EV_R_TIME_CREATED << 8 | EV_R_SYSTEM_TIME: return EV_C_CREATED;
    case EV_R_PROVIDER << 8 | EV_R_NAME: return EV_C_PROVIDER;
    case EV_R_PROVIDER << 8 | EV_R_GUID: return EV_C_GUID;
    case EV_R_PROVIDER << 8 | EV_R_SOURCE: return EV_C_SOURCE;
    case EV_R_SECURITY << 8 | EV_R_USER: return EV_C_USER;
    case EV_R_CORRELATION << 8 | EV_R_ACTIVITY: return EV_C_ACTIVITY;
    case EV_R_CORRELATION << 8 | EV_R_RELATED: return EV_C_RELATED;
    default: return -1;
    }
}

static int32_t ev_child(const ev_ctx *x, int32_t node, int role) {
    for (node = x->nodes[node].children; node >= 0; node = x->nodes[node].next)
        if (ev_name_of(x, x->nodes[node].name)->role == role) return node;
    return -1;
}

/* The System part of the first Event as columns; what it took is marked in the tree. */
static void ev_capture(ev_columns *c) {
    ev_ctx *x = &c->x;
    int32_t event = ev_child(x, 0, EV_R_EVENT), system = event < 0 ? -1 : ev_child(x, event, EV_R_SYSTEM), child, a;
    int left = 0;
    if (system < 0) return;
    for (child = x->nodes[system].children; child >= 0; child = x->nodes[child].next) {
        ev_node *n = x->nodes + child;
        int role = ev_name_of(x, n->name)->role, column = ev_content_column(role);
        if (column >= 0 && n->children < 0) n->text_taken = (uint8_t)ev_take(c, column, n->pieces);
        for (a = n->attributes; a >= 0; a = x->attributes[a].next) {
            column = ev_attribute_column(role, ev_name_of(x, x->attributes[a].name)->role);
            if (column >= 0) x->attributes[a].taken = (uint8_t)ev_take(c, column, x->attributes[a].first);
        }
        n->hidden = !((!n->text_taken && ev_some(x, n->pieces)) || n->children >= 0 || ev_any_shown(x, n->attributes));
        left |= !n->hidden;
    }
    x->nodes[system].hidden = !(left || ev_some(x, x->nodes[system].pieces) || ev_any_shown(x, x->nodes[system].attributes));
}

static void ev_value(ev_ctx *x, ev_buf *b, int32_t piece) {
    if (!ev_some(x, piece)) {
        EV_SAY(b, "null");
    } else if (x->pieces[piece].next < 0 && x->pieces[piece].kind != EV_ENTITY) {
        ev_json_value(b, x->pieces[piece].kind, x->data + x->pieces[piece].at, x->pieces[piece].size);
    } else {
        ev_byte(b, '"');
        ev_joined(x, b, piece, 1);
        ev_byte(b, '"');
    }
}

/* The name under which an element stands: that of Data is its Name attribute, noted in ``but``. */
static void ev_key(ev_ctx *x, ev_node *n) {
    int32_t a, key;
    n->key = n->name;
    n->but = -1;
    if (ev_name_of(x, n->name)->role != EV_R_DATA) return;
    for (a = n->attributes; a >= 0; a = x->attributes[a].next) {
        const ev_piece *p = x->pieces + x->attributes[a].first;
        ev_place *place;
        int literal;
        if (ev_name_of(x, x->attributes[a].name)->role != EV_R_NAME || x->attributes[a].first < 0) continue;
        literal = p->kind == EV_STRING && p->next < 0 && p->size;
        place = ev_place_at(x, literal ? p->at : 0);
        if (literal && place->keyed && place->key_size == p->size) {
            key = place->key;
        } else {
            x->scratch.size = 0;
            ev_joined(x, &x->scratch, x->attributes[a].first, 0);
            if (x->scratch.size == 0 || x->scratch.failed) continue;
            key = ev_intern(x, x->scratch.data, x->scratch.size);
            if (key < 0) continue;
            if (literal) {
                place->keyed = 1;
                place->key_size = p->size;
                place->key = key;
            }
        }
        n->key = key;
        n->but = a;
        return;
    }
}

static void ev_name_json(ev_ctx *x, ev_buf *b, int32_t name, const char *before) {
    const ev_name *n = ev_name_of(x, name);
    if (!ev_need(b, n->json_size + 8)) return;
    ev_put(b, before, strlen(before));
    ev_put(b, x->letters.data + n->json, n->json_size);
    EV_SAY(b, "\":");
}

static void ev_members(ev_ctx *x, ev_buf *b, int32_t child, int first);

/* Attributes but one, text and children as object members. */
static void ev_inside(ev_ctx *x, ev_buf *b, const ev_node *n, int32_t pieces) {
    int32_t a;
    int first = 1;
    for (a = n->attributes; a >= 0; a = x->attributes[a].next) {
        if (a == n->but || !ev_shown(x, x->attributes + a)) continue;
        ev_name_json(x, b, x->attributes[a].name, first ? "\"@" : ",\"@");
        ev_value(x, b, x->attributes[a].first);
        first = 0;
    }
    if (ev_some(x, pieces)) {
        if (!first) ev_byte(b, ',');
        EV_SAY(b, "\"#text\":");
        ev_value(x, b, pieces);
        first = 0;
    }
    ev_members(x, b, n->children, first);
}

/* The JSON of an element; ``listed`` inside a list, that takes the members of an array one by one. */
static void ev_content(ev_ctx *x, ev_buf *b, int32_t node, int listed) {
    const ev_node *n = x->nodes + node;
    int32_t a, pieces = n->text_taken ? -1 : n->pieces;
    int object = n->children >= 0;
    for (a = n->attributes; a >= 0 && !object; a = x->attributes[a].next) object = a != n->but && ev_shown(x, x->attributes + a);
    if (object) {
        ev_byte(b, '{');
        ev_inside(x, b, n, pieces);
        ev_byte(b, '}');
    } else if (listed && pieces >= 0 && x->pieces[pieces].next < 0 && x->pieces[pieces].kind < 256 && x->pieces[pieces].kind & EV_ARRAY) {
        ev_json_members(b, x->pieces[pieces].kind, x->data + x->pieces[pieces].at, x->pieces[pieces].size);
    } else {
        ev_value(x, b, pieces);
    }
}

/* Elements as object members: the same name twice is a list, in place of the first. ``again`` marks
   the ones behind it; the first of a name is found through the name's own note of the parent. */
static void ev_members(ev_ctx *x, ev_buf *b, int32_t child, int first) {
    int32_t i, head;
    for (i = child; i >= 0; i = x->nodes[i].next) {
        ev_node *n = x->nodes + i;
        ev_name *name;
        if (n->hidden) continue;
        ev_key(x, n);
        name = (ev_name *)x->names.data + n->key;
        head = name->head;
        n->again = 0;
        n->same = -1;
        n->last_same = i;
        if (name->parent == n->parent && name->record == x->record) {
            x->nodes[x->nodes[head].last_same].same = i;
            x->nodes[head].last_same = i;
            n->again = 1;
        } else {
            name->parent = n->parent;
            name->record = x->record;
            name->head = i;
        }
    }
    for (i = child; i >= 0; i = x->nodes[i].next) {
        const ev_node *n = x->nodes + i;
        int32_t member;
        size_t start;
        if (n->hidden || n->again) continue;
        ev_name_json(x, b, n->key, first ? "\"" : ",\"");
        first = 0;
        if (n->same < 0 && !n->always_list && !(n->but < 0 && ev_name_of(x, n->name)->role == EV_R_DATA)) {
            ev_content(x, b, i, 0);
            continue;
        }
        ev_byte(b, '[');
        start = b->size;
        for (member = i; member >= 0; member = x->nodes[member].same) {
            size_t before = b->size, said;
            if (b->size > start) ev_byte(b, ',');
            said = b->size;
            ev_content(x, b, member, 1);
            if (b->size == said) b->size = before; /* an array without members */
        }
        ev_byte(b, ']');
    }
}

/* What no column holds, as an object: the children of the one Event, or else of the document. */
static void ev_event_json(ev_ctx *x, ev_buf *b) {
    const ev_node *root = x->nodes, *only = root->children >= 0 ? x->nodes + root->children : root;
    x->record++;
    if (only != root && only->next < 0 && ev_name_of(x, only->name)->role == EV_R_EVENT) root = only;
    ev_byte(b, '{');
    ev_inside(x, b, root, root->pieces);
    ev_byte(b, '}');
}

static int ev_columns_start(ev_columns *c) {
    memset(c, 0, sizeof(*c));
    return ev_start(&c->x);
}

static void ev_columns_free(ev_columns *c) {
    int i;
    for (i = 0; i < EV_INTEGERS; i++) free(c->integers[i].data);
    for (i = 0; i < EV_TEXTS; i++) {
        free(c->texts[i].data);
        free(c->offsets[i].data);
    }
    for (i = 0; i < EV_COLUMNS; i++) free(c->valid[i].data);
    ev_free(&c->x);
}

/* Decode the BinXML in [start, end) of the chunk and add its row. ``text_base``: first offsets. */
static void ev_columns_add(ev_columns *c, uint32_t start, uint32_t end, const int64_t *text_base) {
    int i;
    ev_event(&c->x, start, end);
    memset(c->set, 0, sizeof(c->set));
    ev_capture(c);
    ev_event_json(&c->x, c->texts + (EV_C_DATA - EV_INTEGERS));
    c->set[EV_C_DATA] = 1;
    for (i = 0; i < EV_INTEGERS; i++) {
        int64_t value = c->set[i] ? c->number[i] : 0;
        ev_put(c->integers + i, &value, 8);
    }
    for (i = 0; i < EV_TEXTS; i++) {
        int64_t offset = text_base[i] + (int64_t)c->texts[i].size;
        ev_put(c->offsets + i, &offset, 8);
    }
    for (i = 0; i < EV_COLUMNS; i++) ev_byte(c->valid + i, (char)c->set[i]);
}

static int ev_columns_failed(const ev_columns *c) {
    int i, failed = ev_failed(&c->x);
    for (i = 0; i < EV_INTEGERS; i++) failed |= c->integers[i].failed;
    for (i = 0; i < EV_TEXTS; i++) failed |= c->texts[i].failed | c->offsets[i].failed;
    for (i = 0; i < EV_COLUMNS; i++) failed |= c->valid[i].failed;
    return failed;
}

#endif
