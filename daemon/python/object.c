/* SPDX-License-Identifier: Apache-2.0 */
#include "python/object.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"

#define HEADER_MAX 128         /* bytes of an object's head that are copied in one read */
#define ENTRIES_MAX (1u << 16) /* of a dictionary */
#define ENTRIES_AT_ONCE 64u
#define TYPE_INLINE_VALUES (1u << 2) /* Py_TPFLAGS_INLINE_VALUES, 3.13 */
#define TYPE_MANAGED_DICT (1u << 4)  /* Py_TPFLAGS_MANAGED_DICT, 3.11 */

int object_u64(const struct remote *r, uint64_t address, uint64_t *ret) {
        return r->read(r->userdata, address, ret, sizeof(*ret));
}

static int add(uint64_t address, uint64_t offset, uint64_t *ret) {
        return __builtin_add_overflow(address, offset, ret) ? -EFAULT : 0;
}

struct string {
        uint64_t data;
        uint64_t length; /* in characters */
        unsigned kind;
        bool ascii;
};

static int string_open(const struct remote *r, uint64_t object, struct string *ret) {
        const struct target *t = r->target;
        uint8_t head[HEADER_MAX];
        struct string s;
        uint32_t state;
        int q;

        if (t->unicode_compact_data > HEADER_MAX || t->unicode_ascii_data > t->unicode_compact_data ||
            t->unicode_state + 4u > t->unicode_ascii_data || t->unicode_length + 8u > t->unicode_ascii_data)
                return -EBADMSG;
        q = r->read(r->userdata, object, head, t->unicode_ascii_data);
        if (q < 0)
                return q;
        memcpy(&s.length, head + t->unicode_length, sizeof(s.length));
        memcpy(&state, head + t->unicode_state, sizeof(state));
        s.kind = state >> t->unicode_kind_shift & 7;
        s.ascii = state >> t->unicode_ascii_bit & 1;
        if ((s.kind != 1 && s.kind != 2 && s.kind != 4) || s.length > INT64_MAX)
                return -EBADMSG;
        q = add(object, s.ascii ? t->unicode_ascii_data : t->unicode_compact_data, &s.data);
        if (q < 0)
                return q;
        if (!(state >> t->unicode_compact_bit & 1)) {
                /* An instance of a subclass: the characters are elsewhere. */
                q = object_u64(r, object + t->unicode_compact_data, &s.data);
                if (q < 0)
                        return q;
        }
        *ret = s;
        return 0;
}

int object_string(const struct remote *r, uint64_t object, char **ret) {
        _cleanup_free_ void *data = NULL;
        struct string s;
        char *text;
        int q;

        q = string_open(r, object, &s);
        if (q < 0)
                return q;
        s.length = MIN(s.length, OBJECT_STRING_MAX);
        data = malloc(s.length * s.kind + 1);
        if (!data)
                return -ENOMEM;
        if (s.length > 0) {
                q = r->read(r->userdata, s.data, data, s.length * s.kind);
                if (q < 0)
                        return q;
        }
        text = remote_utf8(data, s.length, s.kind);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int object_string_equal(const struct remote *r, uint64_t object, const char *text) {
        size_t length = strlen(text);
        char data[64];
        struct string s;
        int q;

        q = string_open(r, object, &s);
        if (q < 0)
                return q;
        if (!s.ascii || s.kind != 1 || s.length != length || length > sizeof(data))
                return 0;
        q = r->read(r->userdata, s.data, data, length);
        if (q < 0)
                return q;
        return memcmp(data, text, length) == 0;
}

int object_long(const struct remote *r, uint64_t object, uint64_t *ret) {
        const struct offsets_objects *o = r->objects;
        uint8_t head[HEADER_MAX];
        unsigned __int128 value = 0;
        uint64_t size;
        int q;

        if (o->long_size + 8u > HEADER_MAX || o->long_digits + 12u > HEADER_MAX)
                return -EBADMSG;
        q = r->read(r->userdata, object, head, MAX(o->long_size + 8u, o->long_digits + 4u));
        if (q < 0)
                return q;
        memcpy(&size, head + o->long_size, sizeof(size));
        if (r->target->version >= 0x030c) {
                if ((size & 3) == 2) /* _PyLong_SIGN_MASK: 0 positive, 1 zero, 2 negative */
                        return -ERANGE;
                size = (size & 3) == 1 ? 0 : size >> 3;
        }
        if (size > 3)
                return -ERANGE;
        if (size > 1) {
                q = r->read(r->userdata, object + o->long_digits, head + o->long_digits, size * 4);
                if (q < 0)
                        return q;
        }
        for (unsigned i = 0; i < size; i++) {
                uint32_t digit;

                memcpy(&digit, head + o->long_digits + i * 4, sizeof(digit));
                value |= (unsigned __int128)(digit & 0x3fffffff) << (30 * i);
        }
        if (value > UINT64_MAX)
                return -ERANGE;
        *ret = value;
        return 0;
}

/* Where a dictionary's entries are. */
struct entries {
        uint64_t base;
        uint64_t values; /* array of values apart from the keys; 0: they are in the entries */
        uint32_t n;
        uint32_t size; /* of one */
        uint32_t key;  /* offset of the key in it; the value comes after it */
};

static int entries_open(const struct remote *r, uint64_t keys, uint64_t values, struct entries *ret) {
        const struct offsets_objects *o = r->objects;
        struct entries e = {.values = values, .size = 24, .key = 8};
        uint64_t nentries, size;
        uint8_t head[HEADER_MAX];
        unsigned log2;
        int q;

        if (o->keys_entries > HEADER_MAX || o->keys_nentries + 8u > o->keys_entries)
                return -EBADMSG;
        q = r->read(r->userdata, keys, head, o->keys_entries);
        if (q < 0)
                return q;
        memcpy(&nentries, head + o->keys_nentries, sizeof(nentries));
        if (o->keys_log2_size != TARGET_NONE) {
                if (o->keys_log2_size >= o->keys_entries || o->keys_kind >= o->keys_entries)
                        return -EBADMSG;
                log2 = head[o->keys_log2_size];
                if (head[o->keys_kind] != 0) { /* DICT_KEYS_UNICODE or _SPLIT: entries without a hash, 3.11 */
                        e.size = 16;
                        e.key = 0;
                }
        } else {
                if (o->keys_size + 8u > o->keys_entries)
                        return -EBADMSG;
                memcpy(&size, head + o->keys_size, sizeof(size));
                log2 = size == 0 ? 64 : __builtin_ctzll(size);
        }
        if (log2 > 31 || nentries > MIN(1u << log2, ENTRIES_MAX))
                return -EBADMSG;
        e.n = nentries;
        /* The index before the entries has as many bytes a slot as a slot number needs. */
        q = add(keys + o->keys_entries, UINT64_C(1) << (log2 + (log2 < 8 ? 0 : log2 < 16 ? 1 : 2)), &e.base);
        if (q < 0)
                return q;
        *ret = e;
        return 0;
}

static int entries_each(const struct remote *r, const struct entries *e, object_item_fn *each, void *userdata) {
        uint64_t items[ENTRIES_AT_ONCE * 3], values[ENTRIES_AT_ONCE];
        int q;

        for (uint32_t at = 0; at < e->n; at += ENTRIES_AT_ONCE) {
                uint32_t n = MIN(e->n - at, ENTRIES_AT_ONCE);

                q = r->read(r->userdata, e->base + (uint64_t)at * e->size, items, (size_t)n * e->size);
                if (q < 0)
                        return q;
                if (e->values) {
                        q = r->read(r->userdata, e->values + at * 8, values, n * sizeof(values[0]));
                        if (q < 0)
                                return q;
                }
                for (uint32_t i = 0; i < n; i++) {
                        const uint64_t *item = items + (i * e->size + e->key) / 8;
                        uint64_t value = e->values ? values[i] : item[1];

                        if (item[0] == 0 || value == 0)
                                continue;
                        q = each(userdata, r, item[0], value);
                        if (q != 0)
                                return q;
                }
        }
        return 0;
}

static int dict_open(const struct remote *r, uint64_t dict, struct entries *ret) {
        const struct offsets_objects *o = r->objects;
        uint64_t keys, values;
        int q;

        q = object_u64(r, dict + o->dict_keys, &keys);
        if (q < 0)
                return q;
        q = object_u64(r, dict + o->dict_values, &values);
        if (q < 0)
                return q;
        return entries_open(r, keys, values ? values + o->values_values : 0, ret);
}

int object_dict_each(const struct remote *r, uint64_t dict, object_item_fn *each, void *userdata) {
        struct entries e;
        int q;

        q = dict_open(r, dict, &e);
        if (q < 0)
                return q;
        return entries_each(r, &e, each, userdata);
}

struct find {
        const char *key;
        uint64_t value;
};

static int find_item(void *userdata, const struct remote *r, uint64_t key, uint64_t value) {
        struct find *f = userdata;
        int q;

        q = object_string_equal(r, key, f->key);
        if (q <= 0)
                return q == -EBADMSG ? 0 : q; /* keys need not be strings */
        f->value = value;
        return 1;
}

static int entries_find(const struct remote *r, const struct entries *e, const char *key, uint64_t *ret) {
        struct find f = {.key = key};
        int q;

        q = entries_each(r, e, find_item, &f);
        if (q < 0)
                return q;
        if (q == 0)
                return -ENOENT;
        *ret = f.value;
        return 0;
}

int object_dict_find(const struct remote *r, uint64_t dict, const char *key, uint64_t *ret) {
        struct entries e;
        int q;

        q = dict_open(r, dict, &e);
        if (q < 0)
                return q;
        return entries_find(r, &e, key, ret);
}

/* Values kept without a dictionary, under the keys that all instances of the type share. */
static int shared_open(const struct remote *r, uint64_t type, uint64_t values, struct entries *ret) {
        uint64_t keys;
        int q;

        q = object_u64(r, type + r->objects->type_cached_keys, &keys);
        if (q < 0)
                return q;
        return entries_open(r, keys, values + r->objects->values_values, ret);
}

/* Where an instance keeps its attributes, which changed with 3.11, 3.12 and 3.13 (Objects/object_layout.md). */
static int managed_open(const struct remote *r, uint64_t object, uint64_t type, uint64_t flags, struct entries *ret) {
        uint16_t version = r->target->version;
        uint64_t before[2], size; /* the words 4 and 3 before the object */
        uint8_t valid;
        int q;

        q = r->read(r->userdata, object - 32, before, sizeof(before));
        if (q < 0)
                return q;
        if (version == 0x030b)
                return before[0] ? shared_open(r, type, before[0], ret) : dict_open(r, before[1], ret);
        if (version == 0x030c)
                return before[1] & 1 ? shared_open(r, type, before[1] + 1, ret) : dict_open(r, before[1], ret);
        if (before[1])
                return dict_open(r, before[1], ret);
        if (!(flags & TYPE_INLINE_VALUES))
                return -ENOENT;
        q = object_u64(r, type + r->objects->type_basicsize, &size);
        if (q < 0)
                return q;
        q = r->read(r->userdata, object + size + r->objects->values_valid, &valid, sizeof(valid));
        if (q < 0)
                return q;
        return valid ? shared_open(r, type, object + size, ret) : -ENOENT;
}

int object_attribute(const struct remote *r, uint64_t object, const char *name, uint64_t *ret) {
        uint64_t type, flags, dict;
        struct entries e;
        int64_t offset;
        int q;

        q = object_u64(r, object + r->target->object_type, &type);
        if (q < 0)
                return q;
        q = object_u64(r, type + r->objects->type_flags, &flags);
        if (q < 0)
                return q;
        if (r->target->version >= 0x030b && (flags & TYPE_MANAGED_DICT)) {
                q = managed_open(r, object, type, flags, &e);
        } else {
                q = object_u64(r, type + r->objects->type_dictoffset, (uint64_t *)&offset);
                if (q < 0)
                        return q;
                if (offset <= 0)
                        return -ENOENT;
                q = object_u64(r, object + offset, &dict);
                if (q < 0)
                        return q;
                q = dict_open(r, dict, &e);
        }
        if (q < 0)
                return q;
        return entries_find(r, &e, name, ret);
}
