/* BinXML of one chunk, [MS-EVEN6] 2.2.12, as trees. Twin: _plain/evtx_binxml.py

   Each template is compiled once to a flat program; a record runs it with its substitutions. */
#ifndef FORENSICLIB_EVTX_BINXML_H
#define FORENSICLIB_EVTX_BINXML_H

#include "evtx_text.h"

enum { EV_SIZE = 1, EV_STRUCTURE = 2, EV_TEMPLATE = 4, EV_VALUE = 8, EV_BOUND = 16, EV_NAME = 32 };
enum { EV_CHUNK = 65536, EV_TOKENS = 1 << 17, EV_RECORD_UNITS = 1 << 15, EV_CHUNK_UNITS = 1 << 17, EV_DEPTH = 128, EV_NEST = 16 };
enum { EV_LETTERS = 1 << 20 };
enum { EV_STOP, EV_OPEN, EV_TAGGED, EV_CLOSE, EV_ATTRIBUTE, EV_LITERAL, EV_SUBSTITUTE, EV_INSTANCE, EV_FLAG, EV_ERROR };
enum { EV_SLOTS = 1 << 11, EV_NODES = EV_RECORD_UNITS + 2 };

/* Names that columns are made of; EV_ROLE_ATTRIBUTES and above are attributes. */
enum {
    EV_R_NONE, EV_R_EVENT, EV_R_SYSTEM, EV_R_DATA, EV_R_PROVIDER, EV_R_EVENT_ID, EV_R_VERSION, EV_R_LEVEL, EV_R_TASK, EV_R_OPCODE,
    EV_R_RECORD_ID, EV_R_KEYWORDS, EV_R_CHANNEL, EV_R_COMPUTER, EV_R_TIME_CREATED, EV_R_CORRELATION, EV_R_EXECUTION, EV_R_SECURITY,
    EV_R_NAME, EV_R_GUID, EV_R_SOURCE, EV_R_QUALIFIERS, EV_R_SYSTEM_TIME, EV_R_ACTIVITY, EV_R_RELATED, EV_R_PROCESS, EV_R_THREAD,
    EV_R_USER, EV_R_COUNT
};
static const char *const ev_roles[EV_R_COUNT] = {
    "", "Event", "System", "Data", "Provider", "EventID", "Version", "Level", "Task", "Opcode", "EventRecordID", "Keywords", "Channel",
    "Computer", "TimeCreated", "Correlation", "Execution", "Security", "Name", "Guid", "EventSourceName", "Qualifiers", "SystemTime",
    "ActivityID", "RelatedActivityID", "ProcessID", "ThreadID", "UserID"
};

typedef struct { uint8_t op; int32_t a; uint32_t b, c; } ev_token;
typedef struct { uint16_t kind; uint32_t at, size; int32_t next; } ev_piece;
typedef struct { int32_t name, first, last, next; uint8_t taken; } ev_attribute;
typedef struct {
    int32_t name, parent, next, children, last_child, attributes, last_attribute, pieces, last_piece;
    int32_t key, but, same, last_same; /* set while the JSON is made */
    uint8_t text_taken, hidden, always_list, again;
} ev_node;
typedef struct {
    uint32_t raw, raw_size, json, json_size, units, hash;
    uint8_t role, is_namespace;
    int32_t parent, head; /* in record number ``record``: whose child last had this key, and the first that had */
    uint32_t record;
} ev_name;

/* What is known of an offset in the chunk. */
typedef struct {
    uint32_t at;
    uint8_t known, sound, compiled, keyed;
    int32_t name;      /* known: a name stands here; sound: with its right hash */
    uint32_t program;  /* compiled: a template stands here */
    uint32_t key_size; /* keyed: a literal of so many bytes that is a key stands here */
    int32_t key;
} ev_place;

/* A name by its hash. */
typedef struct { uint32_t generation, name; } ev_slot;

typedef struct {
    const uint8_t *data;
    uint32_t size;
    uint32_t generation; /* of the chunk: older entries of the tables below do not count */
    uint32_t n_tokens, n_nodes, n_attributes, n_pieces, n_values;
    uint32_t record; /* counts the records rendered */
    uint32_t spent, spent_chunk, read_letters, damage, damage_at;
    ev_token *tokens;
    ev_node *nodes;
    ev_attribute *attributes;
    ev_piece *pieces;
    ev_buf values;  /* ev_piece: substitutions of the instances being run, a stack */
    ev_buf names;   /* ev_name */
    ev_buf letters; /* text of names */
    ev_buf scratch;
    ev_slot *slots;
    uint32_t n_slots; /* a power of two */
    ev_place *places;
    uint32_t n_places;
    uint16_t *place_of; /* by offset; it counts where the place there says the same offset */
} ev_ctx;

static void ev_free(ev_ctx *x) {
    free(x->tokens); free(x->nodes); free(x->attributes); free(x->pieces);
    free(x->values.data); free(x->names.data); free(x->letters.data); free(x->scratch.data);
    free(x->slots); free(x->places); free(x->place_of);
}

static int ev_start(ev_ctx *x) {
    memset(x, 0, sizeof(*x));
    x->tokens = (ev_token *)malloc((EV_TOKENS + 16) * sizeof(ev_token));
    x->nodes = (ev_node *)malloc(EV_NODES * sizeof(ev_node));
    x->attributes = (ev_attribute *)malloc(EV_NODES * sizeof(ev_attribute));
    x->pieces = (ev_piece *)malloc(EV_NODES * sizeof(ev_piece));
    x->n_slots = EV_SLOTS;
    x->slots = (ev_slot *)calloc(EV_SLOTS, sizeof(ev_slot));
    x->places = (ev_place *)malloc(EV_CHUNK * sizeof(ev_place));
    x->place_of = (uint16_t *)calloc(EV_CHUNK, sizeof(uint16_t));
    return x->tokens && x->nodes && x->attributes && x->pieces && x->slots && x->places && x->place_of;
}

static int ev_failed(const ev_ctx *x) { return x->values.failed || x->names.failed || x->letters.failed || x->scratch.failed; }

static void ev_token_put(ev_ctx *x, int op, int32_t a, uint32_t b, uint32_t c) {
    ev_token *t = x->tokens + x->n_tokens++;
    t->op = (uint8_t)op;
    t->a = a;
    t->b = b;
    t->c = c;
}

static void ev_chunk_start(ev_ctx *x, const uint8_t *data, uint32_t size) {
    x->data = data;
    x->size = size;
    x->generation++;
    x->n_tokens = x->n_places = x->spent_chunk = x->read_letters = 0;
    x->names.size = x->letters.size = 0;
    ev_token_put(x, EV_ERROR, EV_BOUND, 0, 0);
}

static void ev_flag(ev_ctx *x, uint32_t bit, uint32_t at) {
    if (!x->damage) x->damage_at = at;
    x->damage |= bit;
}

static inline int ev_spend(ev_ctx *x, uint32_t units) {
    x->spent += units;
    x->spent_chunk += units;
    return x->spent <= EV_RECORD_UNITS && x->spent_chunk <= EV_CHUNK_UNITS;
}

static inline const ev_name *ev_name_of(const ev_ctx *x, int32_t name) { return (const ev_name *)x->names.data + name; }

/* Twice the slots, for the names of this chunk. */
static int ev_more_slots(ev_ctx *x) {
    uint32_t count = (uint32_t)(x->names.size / sizeof(ev_name)), mask = 2 * x->n_slots - 1, i, slot;
    ev_slot *slots = (ev_slot *)calloc(2 * (size_t)x->n_slots, sizeof(ev_slot));
    if (slots == NULL) return 0;
    for (i = 0; i < count; i++) {
        slot = ev_name_of(x, (int32_t)i)->hash & mask;
        while (slots[slot].generation) slot = (slot + 1) & mask;
        slots[slot].generation = x->generation;
        slots[slot].name = i;
    }
    free(x->slots);
    x->slots = slots;
    x->n_slots *= 2;
    return 1;
}

/* The number of the text (UTF-8); the same for the same text. -1 when memory is short. */
static int32_t ev_intern(ev_ctx *x, const uint8_t *text, size_t size) {
    uint32_t hash = 2166136261u, slot, units = 0, count = (uint32_t)(x->names.size / sizeof(ev_name));
    ev_name name;
    size_t i;
    int role;
    for (i = 0; i < size; i++) {
        hash = (hash ^ text[i]) * 16777619u;
        units += (text[i] & 0xC0) != 0x80 ? 1 + (text[i] >= 0xF0) : 0;
    }
    hash ^= hash >> 15;
    if (2 * count >= x->n_slots && !ev_more_slots(x)) {
        x->names.failed = 1;
        return -1;
    }
    slot = hash & (x->n_slots - 1);
    while (x->slots[slot].generation == x->generation) {
        const ev_name *there = ev_name_of(x, (int32_t)x->slots[slot].name);
        if (there->hash == hash && there->raw_size == size && memcmp(x->letters.data + there->raw, text, size) == 0)
            return (int32_t)x->slots[slot].name;
        slot = (slot + 1) & (x->n_slots - 1);
    }
    memset(&name, 0, sizeof(name));
    name.hash = hash;
    name.raw = (uint32_t)x->letters.size;
    name.raw_size = (uint32_t)size;
    name.units = units;
    if (!ev_need(&x->letters, size + 1)) return -1;
    ev_put(&x->letters, text, size);
    name.json = (uint32_t)x->letters.size;
    if (!ev_need(&x->letters, 6 * size + 8)) return -1;
    ev_utf8(&x->letters, x->letters.data + name.raw, size, 1);
    name.json_size = (uint32_t)x->letters.size - name.json;
    for (role = 1; role < EV_R_COUNT; role++)
        if (strlen(ev_roles[role]) == size && memcmp(ev_roles[role], x->letters.data + name.raw, size) == 0) name.role = (uint8_t)role;
    name.is_namespace = size >= 5 && memcmp(x->letters.data + name.raw, "xmlns", 5) == 0;
    ev_put(&x->names, &name, sizeof(name));
    if (x->names.failed) return -1;
    x->slots[slot].generation = x->generation;
    x->slots[slot].name = count;
    return (int32_t)count;
}

/* ``at`` < EV_CHUNK. The pointer stays good while the chunk is in hand. */
static ev_place *ev_place_at(ev_ctx *x, uint32_t at) {
    ev_place *place = x->places + x->place_of[at];
    if (x->place_of[at] < x->n_places && place->at == at) return place;
    x->place_of[at] = (uint16_t)x->n_places;
    place = x->places + x->n_places++;
    memset(place, 0, sizeof(*place));
    place->at = at;
    return place;
}

/* The name structure at ``at``: its number or -1, its bytes, whether its hash is right. */
static int32_t ev_name_at(ev_ctx *x, uint32_t at, uint32_t *length, int *sound) {
    const uint8_t *p;
    ev_place *place;
    uint32_t chars, hash = 0, i;
    if (at > x->size || x->size - at < 10) return -1;
    p = x->data + at;
    place = ev_place_at(x, at);
    chars = ev_u16(p + 6);
    if (chars == 0 || 2 * chars > x->size - at - 10 || ev_u16(p + 8 + 2 * chars)) return -1;
    *length = 10 + 2 * chars;
    if (!place->known) {
        if (x->read_letters + chars > EV_LETTERS) return -1;
        x->read_letters += chars;
        for (i = 0; i < chars; i++) hash = hash * 65599u + ev_u16(p + 8 + 2 * i);
        x->scratch.size = 0;
        ev_utf16(&x->scratch, p + 8, 2 * chars, 0);
        if (x->scratch.failed) return -1;
        place->name = ev_intern(x, x->scratch.data, x->scratch.size);
        place->sound = (hash & 0xFFFF) == ev_u16(p + 4);
        if (place->name < 0) return -1;
        place->known = 1;
    }
    *sound = (int)place->sound;
    return place->name;
}

/* The name that a u32 at ``reference`` points to; ``behind``: what follows reference and, where it
   stands right there, name. -1 when there is none. */
static int32_t ev_named(ev_ctx *x, uint32_t reference, uint32_t end, uint32_t *behind) {
    uint32_t at, length = 0;
    int sound = 1;
    int32_t name;
    if (reference + 4 > end) return -1;
    at = ev_u32(x->data + reference);
    name = ev_name_at(x, at, &length, &sound);
    if (name < 0) return -1;
    *behind = reference + 4 + (at == reference + 4 ? length : 0);
    if (*behind > end) return -1;
    if (!sound) ev_token_put(x, EV_FLAG, EV_NAME, at, 0);
    return name;
}

static int ev_element(ev_ctx *x, uint32_t at, uint32_t end) {
    uint32_t length;
    int sound;
    return at + 8 <= end && ev_name_at(x, ev_u32(x->data + at + 4), &length, &sound) >= 0;
}

/* A value, CDATA, character or entity reference, or substitution; returns what follows, 0 when none. */
static uint32_t ev_compile_text(ev_ctx *x, uint32_t at, uint32_t end, int kind) {
    const uint8_t *d = x->data;
    uint32_t chars, width, behind;
    int32_t name;
    switch (kind) {
    case 13: case 14:
        if (at + 4 > end) return 0;
        ev_token_put(x, EV_SUBSTITUTE, (int32_t)ev_u16(d + at + 1), kind == 14 && d[at + 3] == EV_NULL, at);
        return at + 4;
    case 5:
        if (at + 2 <= end && d[at + 1] != EV_STRING) {
            width = d[at + 1] < 32 ? ev_fixed[d[at + 1]] : 0;
            if (!width || at + 2 + width > end) return 0;
            ev_token_put(x, EV_LITERAL, d[at + 1], at + 2, width);
            return at + 2 + width;
        }
        /* fall through */
    case 7:
        chars = at + (kind == 5 ? 4 : 3);
        if (chars > end || chars + 2 * ev_u16(d + chars - 2) > end) return 0;
        ev_token_put(x, EV_LITERAL, EV_STRING, chars, 2 * ev_u16(d + chars - 2));
        return chars + 2 * ev_u16(d + chars - 2);
    case 8:
        if (at + 3 > end) return 0;
        ev_token_put(x, EV_LITERAL, EV_CHAR, at + 1, 2);
        return at + 3;
    case 9:
        name = ev_named(x, at + 1, end, &behind);
        if (name < 0) return 0;
        ev_token_put(x, EV_LITERAL, EV_ENTITY, (uint32_t)name, 0);
        return behind;
    default: return 0;
    }
}

/* A processing instruction's target or data. It has no place in columns; the flag of a bad name has. */
static uint32_t ev_compile_instruction(ev_ctx *x, uint32_t at, uint32_t end) {
    uint32_t behind;
    if (x->data[at] == 10) {
        if (ev_named(x, at + 1, end, &behind) < 0) return 0;
    } else {
        if (at + 3 > end || at + 3 + 2 * ev_u16(x->data + at + 1) > end) return 0;
        behind = at + 3 + 2 * ev_u16(x->data + at + 1);
    }
    ev_token_put(x, EV_TAGGED, 0, 0, 0); /* costs a unit, does nothing between tags */
    return behind;
}

/* A template instance; returns the offset behind its values, clipped to ``end``, or 0. */
static uint32_t ev_compile_instance(ev_ctx *x, uint32_t at, uint32_t end) {
    uint32_t behind = at + 10, count, i;
    uint64_t stop;
    if (behind > end) return 0;
    if (ev_u32(x->data + at + 6) == behind) {
        if (behind + 24 > end || ev_u32(x->data + behind + 20) > end) return 0;
        behind += 24 + ev_u32(x->data + behind + 20);
    }
    if (behind + 4 > end || ev_u32(x->data + behind) > (end - behind - 4) / 4) return 0;
    count = ev_u32(x->data + behind);
    ev_token_put(x, EV_INSTANCE, (int32_t)at, behind, end);
    stop = (uint64_t)behind + 4 + 4 * (uint64_t)count;
    for (i = 0; i < count; i++) stop += ev_u16(x->data + behind + 4 + 4 * i);
    return stop < end ? (uint32_t)stop : end;
}

/* Tokens of [pos, end); returns where they start. Ends with STOP or ERROR. ``end`` <= size. */
static uint32_t ev_compile(ev_ctx *x, uint32_t pos, uint32_t end, int in_template) {
    uint32_t start = x->n_tokens, depth = 0, behind, head;
    int in_tag = 0, in_attribute = 0, kind, flagged;
    int32_t name;
    if (start >= EV_TOKENS) return 0;
    while (pos < end) {
        uint32_t at = pos;
        if (x->n_tokens >= EV_TOKENS) {
            ev_token_put(x, EV_ERROR, EV_BOUND, pos, 0);
            return start;
        }
        kind = x->data[pos] & 0xBF;
        flagged = x->data[pos] & 0x40;
        if (flagged && kind != 1 && !(kind >= 5 && kind <= 9)) break;
        if (kind == 0) {
            if (depth) break;
            ev_token_put(x, EV_STOP, 0, 0, 0);
            return start;
        }
        if (kind == 1) { /* open start element */
            if (in_tag) break;
            head = in_template || !ev_element(x, pos + 1, end) ? pos + 3 : pos + 1;
            if (head + 8 > end) break;
            name = ev_named(x, head + 4, end, &behind);
            if (name < 0) break;
            pos = behind + (flagged ? 4 : 0);
            if (pos > end) break;
            ev_token_put(x, EV_OPEN, name, 0, at);
            depth++;
            in_tag = 1;
            in_attribute = 0;
        } else if (kind == 2 || kind == 3) { /* close start element, close empty element */
            if (!in_tag) break;
            ev_token_put(x, EV_TAGGED, 0, 0, at);
            in_tag = in_attribute = 0;
            if (kind == 3) {
                ev_token_put(x, EV_CLOSE, 0, 0, at);
                depth--;
            }
            pos++;
        } else if (kind == 4) { /* end element */
            if (in_tag || !depth) break;
            ev_token_put(x, EV_CLOSE, 0, 0, at);
            depth--;
            pos++;
        } else if (kind == 6) { /* attribute */
            if (!in_tag) break;
            name = ev_named(x, pos + 1, end, &behind);
            if (name < 0) break;
            ev_token_put(x, EV_ATTRIBUTE, name, 0, at);
            pos = behind;
            in_attribute = 1;
        } else if (kind == 15) { /* fragment header */
            if (depth || pos + 4 > end) break;
            pos += 4;
        } else if (kind == 12) { /* template instance */
            if (depth || in_template) break;
            behind = ev_compile_instance(x, pos, end);
            if (!behind) break;
            pos = behind;
        } else if (kind == 10 || kind == 11) { /* processing instruction */
            behind = in_tag ? 0 : ev_compile_instruction(x, pos, end);
            if (!behind) break;
            pos = behind;
        } else {
            behind = in_attribute || (depth && !in_tag) ? ev_compile_text(x, pos, end, kind) : 0;
            if (!behind) break;
            pos = behind;
        }
    }
    if (pos >= end && !depth) ev_token_put(x, EV_STOP, 0, 0, 0);
    else ev_token_put(x, EV_ERROR, EV_STRUCTURE, pos, 0);
    return start;
}

/* The program of a definition; -1 when there is none with that identity there. */
static int64_t ev_template(ev_ctx *x, uint32_t identity, uint32_t definition) {
    ev_place *place;
    uint64_t end;
    if (definition > x->size || x->size - definition < 24 || ev_u32(x->data + definition + 4) != identity) return -1;
    place = ev_place_at(x, definition);
    if (!place->compiled) {
        end = (uint64_t)definition + 24 + ev_u32(x->data + definition + 20);
        place->compiled = 1;
        place->program = ev_compile(x, definition + 24, end < x->size ? (uint32_t)end : x->size, 1);
    }
    return place->program;
}

static int32_t ev_new_node(ev_ctx *x, int32_t name, int32_t parent) {
    int32_t index = (int32_t)x->n_nodes++;
    ev_node *n = x->nodes + index;
    memset(n, 0, sizeof(*n));
    n->name = name;
    n->parent = parent;
    n->next = n->children = n->last_child = n->attributes = n->last_attribute = n->pieces = n->last_piece = -1;
    n->but = n->same = -1;
    if (parent >= 0) {
        ev_node *p = x->nodes + parent;
        if (p->last_child < 0) p->children = index;
        else x->nodes[p->last_child].next = index;
        p->last_child = index;
    }
    return index;
}

static int32_t ev_new_attribute(ev_ctx *x, int32_t name, int32_t node) {
    int32_t index = (int32_t)x->n_attributes++;
    ev_attribute *a = x->attributes + index;
    ev_node *n = x->nodes + node;
    a->name = name;
    a->first = a->last = a->next = -1;
    a->taken = 0;
    if (n->last_attribute < 0) n->attributes = index;
    else x->attributes[n->last_attribute].next = index;
    n->last_attribute = index;
    return index;
}

static void ev_new_piece(ev_ctx *x, const ev_piece *piece, int32_t *first, int32_t *last) {
    int32_t index = (int32_t)x->n_pieces++;
    x->pieces[index] = *piece;
    x->pieces[index].next = -1;
    if (*last < 0) *first = index;
    else x->pieces[*last].next = index;
    *last = index;
}

static int ev_fragment(ev_ctx *x, uint32_t pos, uint32_t end, int32_t parent, int depth, int nest);

static void ev_substitutions(ev_ctx *x, uint32_t at, uint32_t end) {
    uint32_t count = ev_u32(x->data + at), i;
    uint64_t value = (uint64_t)at + 4 + 4 * (uint64_t)count;
    if (!ev_need(&x->values, ((size_t)count + 1) * sizeof(ev_piece))) return;
    for (i = 0; i < count; i++) {
        uint32_t size = ev_u16(x->data + at + 4 + 4 * i), kind = x->data[at + 6 + 4 * i];
        uint32_t from = value < end ? (uint32_t)value : end, stop = value + size < end ? (uint32_t)(value + size) : end;
        ev_piece piece;
        if (stop < value + size) {
            ev_flag(x, EV_VALUE, from);
            if (kind == EV_BINXML || stop <= value) kind = EV_NULL;
        }
        if (kind != EV_BINXML) {
            kind = (uint32_t)ev_checked((int)kind, x->data + from, stop - from);
            if (kind == EV_BAD) ev_flag(x, EV_VALUE, from);
            if (kind == EV_NULL) stop = from;
        }
        piece.kind = (uint16_t)kind;
        piece.at = from;
        piece.size = stop - from;
        piece.next = -1;
        ev_put(&x->values, &piece, sizeof(piece));
        value += size;
    }
}

static int ev_run(ev_ctx *x, uint32_t start, size_t values, uint32_t n_values, int32_t parent, int depth, int nest);

static int ev_run_instance(ev_ctx *x, uint32_t at, uint32_t counted, uint32_t end, int32_t parent, int depth, int nest) {
    size_t base = x->values.size;
    uint32_t count = ev_u32(x->data + counted), i;
    int64_t start;
    int going = 1;
    if (!ev_spend(x, count)) {
        ev_flag(x, EV_BOUND, at);
        return 0;
    }
    ev_substitutions(x, counted, end);
    if (x->values.failed) return 0;
    start = ev_template(x, ev_u32(x->data + at + 2), ev_u32(x->data + at + 6));
    if (start >= 0) {
        going = ev_run(x, (uint32_t)start, base, count, parent, depth, nest);
    } else {
        ev_flag(x, EV_TEMPLATE, at);
        for (i = 0; i < count && going; i++) {
            ev_piece piece;
            int32_t node, name;
            memcpy(&piece, x->values.data + base + i * sizeof(piece), sizeof(piece));
            if (!ev_spend(x, piece.kind == EV_BINXML ? 1 : 1 + (piece.size >> 4))) {
                ev_flag(x, EV_BOUND, at);
                return 0;
            }
            name = ev_intern(x, (const uint8_t *)"Substitution", 12);
            if (name < 0) return 0;
            node = ev_new_node(x, name, parent);
            x->nodes[node].always_list = 1;
            if (piece.kind == EV_BINXML) going = ev_fragment(x, piece.at, piece.at + piece.size, node, depth + 1, nest + 1);
            else ev_new_piece(x, &piece, &x->nodes[node].pieces, &x->nodes[node].last_piece);
        }
    }
    x->values.size = base;
    return going;
}

/* Run a program below ``parent``; 0 when a bound was met and the record is over. */
static int ev_run(ev_ctx *x, uint32_t start, size_t values, uint32_t n_values, int32_t parent, int depth, int nest) {
    int32_t node = parent, attribute = -1;
    int level = 1; /* elements open here, and the parent */
    for (;;) {
        ev_token t = x->tokens[start++];
        ev_piece piece;
        uint32_t units = 0;
        if (t.op == EV_STOP) return 1;
        if (t.op == EV_ERROR) {
            ev_flag(x, (uint32_t)t.a, t.b);
            return t.a != EV_BOUND;
        }
        if (t.op == EV_OPEN || t.op == EV_ATTRIBUTE) units = ev_name_of(x, t.a)->units >> 3;
        if (!ev_spend(x, 1 + units)) {
            ev_flag(x, EV_BOUND, 0);
            return 0;
        }
        switch (t.op) {
        case EV_OPEN:
            if (depth + level > EV_DEPTH) {
                ev_flag(x, EV_BOUND, t.c);
                return 0;
            }
            node = ev_new_node(x, t.a, node);
            level++;
            attribute = -1;
            continue;
        case EV_TAGGED: attribute = -1; continue;
        case EV_CLOSE:
            node = x->nodes[node].parent;
            level--;
            continue;
        case EV_ATTRIBUTE: attribute = ev_new_attribute(x, t.a, node); continue;
        case EV_FLAG: ev_flag(x, (uint32_t)t.a, t.b); continue;
        case EV_INSTANCE:
            if (!ev_run_instance(x, (uint32_t)t.a, t.b, t.c, node, depth + level - 1, nest)) return 0;
            continue;
        case EV_LITERAL:
            piece.kind = (uint16_t)t.a;
            piece.at = t.b;
            piece.size = t.c;
            break;
        default:
            memset(&piece, 0, sizeof(piece));
            if (t.b) break;
            if ((uint32_t)t.a >= n_values) {
                ev_flag(x, EV_VALUE, t.c);
                break;
            }
            memcpy(&piece, x->values.data + values + (size_t)t.a * sizeof(piece), sizeof(piece));
            if (piece.kind != EV_BINXML) break;
            if (attribute < 0) {
                if (!ev_fragment(x, piece.at, piece.at + piece.size, node, depth + level - 1, nest + 1)) return 0;
                continue;
            }
            ev_flag(x, EV_VALUE, piece.at);
            piece.kind = EV_BAD;
        }
        if (!ev_spend(x, piece.kind == EV_ENTITY ? ev_name_of(x, (int32_t)piece.at)->units >> 3 : piece.size >> 4)) {
            ev_flag(x, EV_BOUND, 0);
            return 0;
        }
        if (attribute >= 0) ev_new_piece(x, &piece, &x->attributes[attribute].first, &x->attributes[attribute].last);
        else ev_new_piece(x, &piece, &x->nodes[node].pieces, &x->nodes[node].last_piece);
    }
}

static int ev_fragment(ev_ctx *x, uint32_t pos, uint32_t end, int32_t parent, int depth, int nest) {
    uint32_t before = x->n_tokens, start;
    if (nest > EV_NEST) {
        ev_flag(x, EV_BOUND, pos);
        return 0;
    }
    start = ev_compile(x, pos, end, 0);
    if (!ev_spend(x, x->n_tokens - before)) {
        ev_flag(x, EV_BOUND, pos);
        return 0;
    }
    return ev_run(x, start, 0, 0, parent, depth, nest);
}

/* The document of the record whose BinXML is [start, end): its root is node 0. */
static void ev_event(ev_ctx *x, uint32_t start, uint32_t end) {
    x->spent = x->n_nodes = x->n_attributes = x->n_pieces = 0;
    x->values.size = 0;
    ev_new_node(x, -1, -1);
    ev_fragment(x, start, end, 0, 0, 0);
}

#endif
