/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <errno.h>
#include <langinfo.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>

#include "rows.h"
#include "text.h"
#include "when.h"

#define HEAD_LINES 3 /* heading, where we are, titles */
#define KEY_ESCAPE 27

struct screen {
        struct view *view;
        char *text;   /* the table as lines; owned */
        char **lines; /* into text; [0] are the titles; owned */
        size_t lines_n;
        size_t selected, first; /* rows */
        bool typing;            /* a filter */
        bool help;
        int errors;    /* memory file in place of stderr, which would write into the picture */
        int stderr_fd; /* the real one */
        int signals;
        char message[256];
        bool quit;
        int number; /* signal */
        bool stale; /* ask again at once */
};

static const struct {
        int key;
        const char *sort;
} sorts[] = {
                {'O', "own"}, {'T', "total"}, {'W', "wall"}, {'P', "cpu"}, {'N', "name"},
                {'1', "own"}, {'2', "total"}, {'3', "wall"}, {'4', "cpu"},
};

static const char *const help_lines[] = {
                "Enter, right   into the row: process, thread, function, line",
                "Backspace, left, Esc   back up",
                "up, down, j, k, PgUp, PgDn, Home, End   move",
                "P W O T N   sort by CPU, wall, own, total, name",
                "1 2 3 4   sort by own, total, wall, CPU",
                "r   reverse",
                "/   show only rows that contain a text",
                "i   idle time shown or hidden",
                "Space   pause",
                "h, ?   this help",
                "q   quit",
                "",
                "OWN: the function itself; TOTAL: with what it called.",
                "The other columns divide that time by state; see pyprofctl(1).",
};

static uint64_t clock_now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static size_t body_height(void) {
        return LINES > HEAD_LINES + 1 ? (size_t)(LINES - HEAD_LINES - 1) : 1;
}

static size_t rows_n(const struct screen *s) {
        return s->lines_n > 0 ? s->lines_n - 1 : 0;
}

static void clamp(struct screen *s) {
        size_t n = rows_n(s), height = body_height();

        if (s->selected >= n)
                s->selected = n ? n - 1 : 0;
        if (s->first > s->selected)
                s->first = s->selected;
        if (s->selected >= s->first + height)
                s->first = s->selected - height + 1;
}

static int split_lines(struct screen *s) {
        size_t n = 0;

        for (const char *p = s->text; *p; p++)
                n += *p == '\n';
        free(s->lines);
        s->lines_n = 0;
        s->lines = calloc(n + 1, sizeof(*s->lines));
        if (!s->lines)
                return -ENOMEM;
        for (char *p = s->text, *end; (end = strchr(p, '\n')); p = end + 1) {
                *end = '\0';
                s->lines[s->lines_n++] = p;
        }
        return 0;
}

/* The rows as lines of this width. */
static int make_lines(struct screen *s) {
        struct table_style style = {.width = (size_t)COLS, .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
        _cleanup_table_ struct table t = {};
        char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        r = rows_table(s->view->answer, NULL, NULL, &t);
        if (r < 0)
                return r;
        f = open_memstream(&text, &size);
        if (!f)
                return -errno;
        r = table_print(&t, f, &style);
        if (fclose(f) != 0 || r < 0) {
                free(text);
                return -ENOMEM;
        }
        free(s->text);
        s->text = text;
        r = split_lines(s);
        clamp(s);
        return r;
}

static void put_line(int y, const char *text, int attributes) {
        move(y, 0);
        clrtoeol();
        if (attributes)
                attron(attributes);
        addnstr(text, (int)text_fit(text, (size_t)COLS));
        if (attributes & A_REVERSE)
                for (size_t i = text_width(text); i < (size_t)COLS; i++)
                        addch(' ');
        if (attributes)
                attroff(attributes);
}

static void put_escaped(int y, struct buffer *text, int attributes) {
        _cleanup_buffer_ struct buffer b = {};

        if (buffer_terminate(text) < 0)
                return;
        text_escape(&b, text->data);
        if (buffer_terminate(&b) == 0)
                put_line(y, b.data, attributes);
}

/* Where we are: the rows that were entered, what a row is, how it is sorted. */
static void draw_place(const struct screen *s) {
        const struct view *v = s->view;
        _cleanup_buffer_ struct buffer b = {};

        if (v->paused)
                buffer_add_string(&b, "[paused] ");
        for (size_t i = 1; i <= v->depth; i++)
                buffer_printf(&b, "%s > ", v->levels[i].title);
        buffer_printf(&b, "by %s", view_level(v)->by);
        if (v->sort)
                buffer_printf(&b, ", sorted by %s", v->sort);
        if (v->reverse)
                buffer_add_string(&b, ", reversed");
        if (v->idle)
                buffer_add_string(&b, ", with idle time");
        if (v->filter[0] && !s->typing)
                buffer_printf(&b, ", containing '%s'", v->filter);
        put_escaped(1, &b, 0);
}

static void draw_footer(const struct screen *s) {
        _cleanup_buffer_ struct buffer b = {};

        if (s->typing)
                buffer_printf(&b, "/%s", s->view->filter);
        else if (s->message[0])
                buffer_add_string(&b, s->message);
        else
                rows_idle_note(&b, s->view->idle ? NULL : s->view->answer);
        if (b.size == 0)
                buffer_add_string(&b, "q quit  h help  Enter down  Backspace up");
        put_escaped(LINES - 1, &b, s->message[0] && !s->typing ? A_BOLD : A_DIM);
}

static void draw(const struct screen *s) {
        _cleanup_buffer_ struct buffer heading = {};
        size_t height = body_height();

        erase();
        if (s->help) {
                for (size_t i = 0; i < ARRAY_SIZE(help_lines) && (int)i < LINES; i++)
                        put_line((int)i, help_lines[i], 0);
                refresh();
                return;
        }
        rows_heading(&heading, s->view->answer);
        put_escaped(0, &heading, A_BOLD);
        draw_place(s);
        if (s->lines_n > 0)
                put_line(2, s->lines[0], A_REVERSE);
        for (size_t i = 0; i < height && s->first + i < rows_n(s); i++)
                put_line((int)i + HEAD_LINES, s->lines[s->first + i + 1], s->first + i == s->selected ? A_STANDOUT : 0);
        draw_footer(s);
        refresh();
}

/* What was said on stderr meanwhile, its first line. */
static void take_message(struct screen *s) {
        ssize_t n = pread(s->errors, s->message, sizeof(s->message) - 1, 0);
        char *end;

        s->message[n > 0 ? n : 0] = '\0';
        end = strchr(s->message, '\n');
        if (end)
                *end = '\0';
        if (ftruncate(s->errors, 0) == 0)
                lseek(s->errors, 0, SEEK_SET);
}

static void fetch(struct screen *s) {
        int64_t now = when_now();

        (void)view_fetch(s->view, now - (int64_t)s->view->interval, now, NULL);
        fflush(stderr);
        take_message(s);
        if (make_lines(s) < 0)
                snprintf(s->message, sizeof(s->message), "out of memory");
}

static void type_filter(struct screen *s, int key) {
        char *filter = s->view->filter;
        size_t n = strlen(filter);

        if (key == '\n' || key == '\r' || key == KEY_ENTER)
                s->typing = false;
        else if (key == KEY_ESCAPE) {
                s->typing = false;
                filter[0] = '\0';
        } else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n > 0)
                filter[n - 1] = '\0';
        else if (key >= 32 && key < 256 && key != 127 && n + 1 < sizeof(s->view->filter)) {
                filter[n] = (char)key;
                filter[n + 1] = '\0';
        }
        s->stale = true;
}

static void go_to(struct screen *s, long row) {
        long n = (long)rows_n(s);

        s->selected = row < 0 || n == 0 ? 0 : (size_t)MIN(row, n - 1);
        clamp(s);
}

static bool move_key(struct screen *s, int key) {
        long row = (long)s->selected, page = (long)body_height();

        switch (key) {
        case KEY_DOWN:
        case 'j':
                go_to(s, row + 1);
                return true;
        case KEY_UP:
        case 'k':
                go_to(s, row - 1);
                return true;
        case KEY_NPAGE:
                go_to(s, row + page);
                return true;
        case KEY_PPAGE:
                go_to(s, row - page);
                return true;
        case KEY_HOME:
        case 'g':
                go_to(s, 0);
                return true;
        case KEY_END:
        case 'G':
                go_to(s, (long)rows_n(s));
                return true;
        default:
                return false;
        }
}

static void change_level(struct screen *s, bool down) {
        if (down ? !view_enter(s->view, s->selected) : !view_leave(s->view))
                return;
        s->selected = s->first = 0;
        s->stale = true;
}

static bool sort_key(struct screen *s, int key) {
        for (size_t i = 0; i < ARRAY_SIZE(sorts); i++)
                if (sorts[i].key == key) {
                        s->view->sort = sorts[i].sort;
                        s->stale = true;
                        return true;
                }
        return false;
}

static void act(struct screen *s, int key) {
        if (s->typing)
                return type_filter(s, key);
        if (s->help && key != 'q') {
                s->help = false;
                return;
        }
        if (move_key(s, key) || sort_key(s, key))
                return;
        switch (key) {
        case 'q':
        case KEY_F(10):
                s->quit = true;
                break;
        case '\n':
        case '\r':
        case KEY_ENTER:
        case KEY_RIGHT:
                change_level(s, true);
                break;
        case KEY_BACKSPACE:
        case 127:
        case 8:
        case KEY_ESCAPE:
        case KEY_LEFT:
                change_level(s, false);
                break;
        case 'r':
                s->view->reverse = !s->view->reverse;
                s->stale = true;
                break;
        case 'i':
                s->view->idle = !s->view->idle;
                s->stale = true;
                break;
        case ' ':
                s->view->paused = !s->view->paused;
                break;
        case '/':
                s->typing = true;
                s->view->filter[0] = '\0';
                break;
        case 'h':
        case '?':
        case KEY_F(1):
                s->help = true;
                break;
        }
}

static void take_signal(struct screen *s) {
        struct signalfd_siginfo info;
        struct winsize size;

        if (read(s->signals, &info, sizeof(info)) != sizeof(info))
                return;
        if (info.ssi_signo != SIGWINCH) {
                s->quit = true;
                s->number = info.ssi_signo == SIGINT ? 0 : (int)info.ssi_signo;
                return;
        }
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
                resizeterm(size.ws_row, size.ws_col);
        (void)make_lines(s);
}

static void take_keys(struct screen *s) {
        int key;

        while (!s->quit && (key = getch()) != ERR)
                act(s, key);
}

static void loop(struct screen *s) {
        uint64_t next = clock_now();

        while (!s->quit) {
                struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = s->signals, .events = POLLIN}};
                uint64_t now = clock_now();
                int timeout = -1;

                if (s->stale || (now >= next && !s->view->paused)) {
                        s->stale = false;
                        fetch(s);
                        next = clock_now() + s->view->interval;
                }
                draw(s);
                now = clock_now();
                if (!s->view->paused)
                        timeout = next > now ? (int)MIN((next - now) / NSEC_PER_MSEC + 1, UINT64_C(3600000)) : 0;
                if (poll(fds, ARRAY_SIZE(fds), timeout) < 0 && errno != EINTR)
                        return;
                if (fds[1].revents)
                        take_signal(s);
                if (fds[0].revents & (POLLHUP | POLLERR))
                        s->quit = true; /* the terminal is gone */
                take_keys(s);
        }
}

static int screen_open(struct screen *s, sigset_t *ret_before) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGWINCH);
        sigprocmask(SIG_BLOCK, &set, ret_before);
        s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        s->errors = memfd_create("pyprofctl-stderr", MFD_CLOEXEC);
        s->stderr_fd = dup(STDERR_FILENO);
        if (s->signals < 0 || s->errors < 0 || s->stderr_fd < 0 || dup2(s->errors, STDERR_FILENO) < 0)
                return -errno;
        return 0;
}

static void screen_close(struct screen *s, const sigset_t *before) {
        if (s->stderr_fd >= 0) {
                (void)dup2(s->stderr_fd, STDERR_FILENO);
                close(s->stderr_fd);
        }
        if (s->signals >= 0)
                close(s->signals);
        if (s->errors >= 0)
                close(s->errors);
        free(s->text);
        free(s->lines);
        sigprocmask(SIG_SETMASK, before, NULL);
}

static void terminal_begin(void) {
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        set_escdelay(25);
        curs_set(0);
}

int screen_run(struct view *v) {
        struct screen s = {.view = v, .errors = -1, .stderr_fd = -1, .signals = -1};
        SCREEN *terminal = NULL;
        sigset_t before;
        int r;

        r = screen_open(&s, &before);
        if (r == 0)
                terminal = newterm(NULL, stdout, stdin);
        if (terminal) {
                terminal_begin();
                loop(&s);
                endwin();
                delscreen(terminal);
        }
        screen_close(&s, &before);
        if (!terminal) {
                output_error(v->session->what, "cannot use this terminal%s%s", r < 0 ? ": " : "",
                             r < 0 ? strerror(-r) : "");
                output_hint("`pyprofctl top --once` prints without one.");
                return STATUS_FAILED;
        }
        return s.number ? 128 + s.number : STATUS_DONE;
}
