/* SPDX-License-Identifier: Apache-2.0 */
#include "idle.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define PATTERNS_MAX 16 /* frames in a rule */

struct pattern {
        char *function;
        char *file;         /* NULL: any */
        const char *suffix; /* of `file`, when it is `*` and plain text: most are, and fnmatch() is slow */
        bool plain;         /* `function` has nothing to expand */
        bool qualified;     /* `function` has a dot: compared with the whole name */
};

struct rule {
        bool idle;
        size_t patterns_n;
        struct pattern patterns[PATTERNS_MAX];
};

struct idle {
        size_t rules_n;
        struct rule rules[];
};

static void rule_fini(struct rule *r) {
        for (size_t i = 0; i < r->patterns_n; i++) {
                free(r->patterns[i].function);
                free(r->patterns[i].file);
        }
}

void idle_free(struct idle *i) {
        if (!i)
                return;
        for (size_t n = 0; n < i->rules_n; n++)
                rule_fini(&i->rules[n]);
        free(i);
}

static bool has_wildcard(const char *glob) {
        return strpbrk(glob, "*?[\\");
}

/* `text` is one frame of a rule without the spaces around it. */
static int pattern_parse(struct pattern *p, const char *text, size_t size) {
        const char *at = memchr(text, '@', size);
        size_t function_size = at ? (size_t)(at - text) : size;

        if (function_size == 0 || (at && function_size + 1 == size) || memchr(text, ' ', size) ||
            (size == 1 && *text == '<'))
                return -EINVAL;
        p->function = strndup(text, function_size);
        if (!p->function)
                return -ENOMEM;
        p->plain = !has_wildcard(p->function);
        p->qualified = strchr(p->function, '.');
        if (!at)
                return 0;

        at++;
        size -= function_size + 1;
        if (asprintf(&p->file, "%s%.*s", *at == '*' || *at == '/' ? "" : "*/", (int)size, at) < 0) {
                p->file = NULL;
                return -ENOMEM;
        }
        if (*p->file == '*' && !has_wildcard(p->file + 1))
                p->suffix = p->file + 1;
        return 0;
}

static int rule_parse(struct rule *rule, const char *text) {
        static const char separator[] = " < ";

        text += strspn(text, " \t");
        rule->idle = *text != '!';
        if (!rule->idle)
                text++;
        for (;;) {
                const char *end = strstr(text, separator);
                size_t size;
                int r;

                text += strspn(text, " \t");
                size = end && end > text ? (size_t)(end - text) : end ? 0 : strlen(text);
                while (size > 0 && strchr(" \t", text[size - 1]))
                        size--;
                if (rule->patterns_n == PATTERNS_MAX)
                        return -EINVAL;
                r = pattern_parse(&rule->patterns[rule->patterns_n++], text, size);
                if (r < 0)
                        return r;
                if (!end)
                        return 0;
                text = end + strlen(separator);
        }
}

int idle_new(const char *const *rules, size_t rules_n, struct idle **ret, size_t *ret_bad) {
        struct idle *i;
        int r;

        i = calloc(1, sizeof(*i) + rules_n * sizeof(i->rules[0]));
        if (!i)
                return -ENOMEM;
        for (size_t n = 0; n < rules_n; n++) {
                i->rules_n++;
                r = rule_parse(&i->rules[n], rules[n]);
                if (r < 0) {
                        idle_free(i);
                        if (ret_bad)
                                *ret_bad = n;
                        return r;
                }
        }
        *ret = i;
        return 0;
}

static bool name_match(const struct pattern *p, const char *name) {
        const char *dot = p->qualified ? NULL : strrchr(name, '.');

        if (p->plain)
                return strcmp(p->function, name) == 0 || (dot && strcmp(p->function, dot + 1) == 0);
        return fnmatch(p->function, name, 0) == 0 || (dot && fnmatch(p->function, dot + 1, 0) == 0);
}

static bool file_match(const struct pattern *p, const char *file) {
        size_t size, suffix_size;

        if (!p->file)
                return true;
        if (!p->suffix)
                return fnmatch(p->file, file, 0) == 0;
        size = strlen(file);
        suffix_size = strlen(p->suffix);
        return size >= suffix_size && memcmp(file + size - suffix_size, p->suffix, suffix_size) == 0;
}

static bool rule_match(const struct rule *rule, const struct location *locations, size_t n) {
        if (rule->patterns_n > n)
                return false;
        for (size_t i = 0; i < rule->patterns_n; i++) {
                const struct function *f = locations[i].function;

                if (!name_match(&rule->patterns[i], f->name) || !file_match(&rule->patterns[i], f->file))
                        return false;
        }
        return true;
}

bool idle_match(const struct idle *i, const struct location *locations, size_t n) {
        for (size_t r = 0; r < i->rules_n; r++)
                if (rule_match(&i->rules[r], locations, n))
                        return i->rules[r].idle;
        return false;
}
