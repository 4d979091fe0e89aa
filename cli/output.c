/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "text.h"

/* $COLUMNS where somebody set it, else the terminal's; a file or a pipe has no width. */
static size_t find_width(int fd) {
        const char *s = getenv("COLUMNS");
        struct winsize size;

        if (s) {
                char *end;
                unsigned long n = strtoul(s, &end, 10);

                if (end != s && !*end && n > 0 && n < 10000)
                        return n;
        }
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        return isatty(fd) ? 80 : 0;
}

static bool find_color(int fd, enum color color) {
        const char *s;

        if (color != COLOR_AUTO)
                return color == COLOR_ALWAYS;
        s = getenv("NO_COLOR");
        if (s && *s)
                return false;
        s = getenv("TERM");
        return isatty(fd) && s && strcmp(s, "dumb") != 0;
}

void output_init(struct output *o, FILE *f, enum color color) {
        int fd = fileno(f);

        *o = (struct output){
                        .f = f,
                        .style = {.width = find_width(fd),
                                  .color = find_color(fd, color),
                                  .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0},
        };
}

static const char *find_pager(void) {
        static const char *const names[] = {"PYPROF_PAGER", "PAGER"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *s = getenv(names[i]);

                if (s)
                        return *s && strcmp(s, "cat") != 0 ? s : NULL;
        }
        return "less";
}

static void exec_pager(const char *pager, int fd) {
        static const int restored[] = {SIGINT, SIGPIPE};

        for (size_t i = 0; i < ARRAY_SIZE(restored); i++)
                signal(restored[i], SIG_DFL);
        if (dup2(fd, STDIN_FILENO) < 0)
                _exit(STATUS_RUN_FAILED);
        close(fd);
        setenv("LESS", "FRSX", false);
        setenv("LESSCHARSET", "utf-8", false);
        if (getenv("SUDO_UID"))
                setenv("LESSSECURE", "1", true); /* less offers a shell; sudo may have meant this command alone */
        execl("/bin/sh", "sh", "-c", pager, NULL);
        _exit(STATUS_RUN_NOT_FOUND);
}

void output_page(struct output *o) {
        const char *pager = find_pager(), *term = getenv("TERM");
        _cleanup_close_ int in = -1, out = -1;
        int fds[2];
        pid_t pid;

        if (o->pager || o->f != stdout || !isatty(STDOUT_FILENO) || !pager || !term || strcmp(term, "dumb") == 0)
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        in = fds[0];
        out = fds[1];
        fflush(stdout);
        pid = fork();
        if (pid < 0)
                return;
        if (pid == 0)
                exec_pager(pager, in);
        if (dup2(out, STDOUT_FILENO) < 0)
                return;
        signal(SIGINT, SIG_IGN); /* the pager's to act on: it ends its search, not us */
        o->pager = pid;
}

/* errno of an earlier write is gone by the time one asks; a pipe itself says that nobody reads it any more. */
static bool reader_gone(int fd) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

int output_finish(struct output *o, const char *what) {
        bool flushed = fflush(o->f) == 0;
        int error = flushed ? EIO : errno;

        if (o->pager) {
                int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

                if (fd >= 0) {
                        (void)dup2(fd, STDOUT_FILENO);
                        close(fd);
                }
                while (waitpid(o->pager, NULL, 0) < 0 && errno == EINTR)
                        ;
                o->pager = 0;
                return STATUS_DONE;
        }
        if ((flushed && !ferror(o->f)) || reader_gone(fileno(o->f)))
                return STATUS_DONE;
        output_error(what, "cannot write: %s", strerror(error));
        return STATUS_FAILED;
}

static void print_wrapped(struct output *o, const char *text) {
        size_t column = 0;

        while (*text) {
                size_t n = strcspn(text, " "), width;
                _cleanup_free_ char *word = strndup(text, n);

                if (!word)
                        return;
                width = text_width(word);
                if (column > 0 && o->style.width && column + 1 + width > o->style.width) {
                        fputc('\n', o->f);
                        column = 0;
                } else if (column > 0) {
                        fputc(' ', o->f);
                        column++;
                }
                fputs(word, o->f);
                column += width;
                text += n;
                while (*text == ' ')
                        text++;
        }
        fputc('\n', o->f);
}

void output_paragraph(struct output *o, const char *text) {
        _cleanup_buffer_ struct buffer b = {};

        text_escape(&b, text);
        if (buffer_terminate(&b) == 0)
                print_wrapped(o, b.data);
}

void output_heading(struct output *o, const char *text) {
        if (o->style.color)
                fputs("\033[1m", o->f);
        output_paragraph(o, text);
        if (o->style.color)
                fputs("\033[0m", o->f);
}

static void print_escaped(const char *format, va_list args) {
        _cleanup_buffer_ struct buffer b = {};
        _cleanup_free_ char *s = NULL;

        if (vasprintf(&s, format, args) < 0)
                s = NULL;
        text_escape(&b, s ? s : "out of memory");
        if (buffer_terminate(&b) == 0)
                fputs(b.data, stderr);
        fputc('\n', stderr);
}

void output_error(const char *what, const char *format, ...) {
        va_list args;

        if (what)
                fprintf(stderr, "pyprofctl: %s: ", what);
        else
                fputs("pyprofctl: ", stderr);
        va_start(args, format);
        print_escaped(format, args);
        va_end(args);
}

void output_hint(const char *format, ...) {
        va_list args;

        va_start(args, format);
        print_escaped(format, args);
        va_end(args);
}
