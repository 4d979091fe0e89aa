/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line a stack: `root;…;leaf N`, N in microseconds of wall time. Frames are `function (file:line)`; a wait has its
 * state as a last frame, `[runq]`. What rows of stacks tell apart and the format cannot (threads) is added up.
 */
#define HASH_NONFATAL_OOM 1

#include <errno.h>
#include <string.h>
#include <uthash.h>

#include "export/formats.h"

struct line {
        char *text; /* owned */
        uint64_t ns;
        UT_hash_handle hh;
};

struct lines {
        struct line *lines;
};

static void lines_fini(struct lines *l) {
        struct line *line, *next;

        HASH_ITER (hh, l->lines, line, next) {
                HASH_DEL(l->lines, line);
                free(line->text);
                free(line);
        }
}

static int lines_add(struct lines *l, const char *text, size_t size, uint64_t ns) {
        struct line *line = NULL;

        HASH_FIND(hh, l->lines, text, size, line);
        if (!line) {
                line = calloc(1, sizeof(*line));
                if (!line)
                        return -ENOMEM;
                line->text = strndup(text, size);
                if (line->text)
                        HASH_ADD_KEYPTR(hh, l->lines, line->text, size, line);
                if (!line->text || !line->hh.tbl) {
                        free(line->text);
                        free(line);
                        return -ENOMEM;
                }
        }
        line->ns += ns;
        return 0;
}

/* `;` parts frames and a new line parts stacks: neither may be in a name. */
static void text_add(struct buffer *b, const char *text) {
        for (text = text ?: ""; *text; text++) {
                char c = *text;

                if (c == ';')
                        c = ',';
                else if ((unsigned char)c < ' ' || c == 0x7f)
                        c = ' ';
                buffer_add(b, &c, 1);
        }
}

static void frame_add(struct buffer *b, const struct profile_frame *f) {
        if (b->size > 0)
                buffer_add_string(b, ";");
        text_add(b, f->function);
        if (f->kind == FRAME_KERNEL) {
                buffer_add_string(b, "_[k]");
                return;
        }
        if (!f->file || !*f->file)
                return;
        buffer_add_string(b, " (");
        text_add(b, f->file);
        if (f->kind == FRAME_PYTHON)
                buffer_printf(b, ":%i", f->line);
        buffer_add_string(b, ")");
}

static int row_add(struct lines *lines, const struct profile *p, const struct profile_row *row) {
        _cleanup_buffer_ struct buffer text = {};
        uint64_t cpu_ns = 0;
        size_t stack_size;
        int r;

        /* As py-spy has it: whose stack it is matters where there are several. */
        if ((p->by & (BY_PROCESS | BY_THREAD)) && p->processes > 1) {
                text_add(&text, row->command && *row->command ? row->command : row->comm);
                buffer_printf(&text, " (%u)", row->pid);
        }
        for (size_t i = 0; i < row->frames_n; i++)
                frame_add(&text, &row->frames[i]);
        stack_size = text.size;

        for (int state = 0; state < STATE_MAX; state++) {
                if (state_is_cpu(state)) {
                        cpu_ns += row->total[state];
                        continue;
                }
                if (row->total[state] == 0)
                        continue;
                text.size = stack_size;
                buffer_printf(&text, "%s[%s]", stack_size > 0 ? ";" : "", state_to_string(state));
                if (text.failed)
                        return -ENOMEM;
                r = lines_add(lines, text.data, text.size, row->total[state]);
                if (r < 0)
                        return r;
        }
        if (cpu_ns == 0)
                return 0;
        text.size = stack_size;
        if (stack_size == 0)
                buffer_add_string(&text, "[unsampled]");
        if (text.failed)
                return -ENOMEM;
        return lines_add(lines, text.data, text.size, cpu_ns);
}

int collapsed_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b) {
        _cleanup_(lines_fini) struct lines lines = {};
        int r;

        for (size_t i = 0; i < p->rows_n; i++) {
                r = row_add(&lines, p, &p->rows[i]);
                if (r < 0)
                        return r;
        }
        for (const struct line *line = lines.lines; line; line = line->hh.next) {
                uint64_t us = (line->ns + NSEC_PER_USEC / 2) / NSEC_PER_USEC;

                if (us > 0)
                        buffer_printf(b, "%s %llu\n", line->text, (unsigned long long)us);
        }
        return buffer_terminate(b);
}
