/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "verb.h"

int verb_export(const char *what, struct options *o) {
        _cleanup_buffer_ struct buffer query = {};
        _cleanup_session_ struct session s = {};
        _cleanup_file_ struct file f = FILE_NULL;
        int r;

        r = capture_open(what, o, &f);
        if (r != STATUS_DONE)
                return r;
        r = session_open(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        if (session_path(&query, "", o) < 0)
                return verb_say_oom(what);
        return capture_write(&s, o, &query, &f);
}
