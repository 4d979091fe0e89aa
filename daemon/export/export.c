/* SPDX-License-Identifier: Apache-2.0 */
#include "export/export.h"

#include <string.h>

#include "export/formats.h"

const struct export_format export_formats[] = {
                {"collapsed", "text/plain; charset=utf-8", collapsed_write},
                {"speedscope", "application/json", speedscope_write},
                {"json", "application/json", json_write},
                {},
};

const struct export_format *export_format_find(const char *name) {
        for (const struct export_format *f = export_formats; f->name; f++)
                if (strcmp(f->name, name) == 0)
                        return f;
        return NULL;
}
