/* Mode and signals are the process's own, and so is what this file keeps of them. */
#include "app/terminal.h"

#include "app/qr.h"
#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

struct terminal {
    struct loop *loop;
    const struct terminal_ops *ops;
    void *user;
    uv_tty_t keys;
    uv_signal_t stopped, continued; /* SIGTSTP, SIGCONT */
    uv_process_t *browser;          /* the last one that was started, until it ends */
    bool has_keys;
    int open_handles; /* of the three above */
    char input[64];
    char url[512], lan[512]; /* lan: "" when it can't be reached from there */
    bool shows;              /* stdout is a terminal */
};

/* ---- the mode ---- */

static const int fatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV};

static struct {
    volatile sig_atomic_t changed; /* the mode is ours */
    struct termios before;
    struct sigaction actions[sizeof fatal / sizeof *fatal]; /* that were there before */
} mode;

/* From a process in the background this would stop it (SIGTTOU), unless that is blocked. Also called by
 * signal handlers. */
static void set_mode(const struct termios *wanted)
{
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    tcsetattr(STDIN_FILENO, TCSANOW, wanted);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_restore(void)
{
    int error = errno;
    if (mode.changed) {
        mode.changed = 0;
        set_mode(&mode.before);
    }
    errno = error;
}

/* Ends the process as it would have ended without us. */
static void on_fatal(int number)
{
    terminal_restore();
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        if (fatal[i] == number)
            sigaction(number, &mode.actions[i], NULL);
    }
    raise(number);
}

static void catch_fatal(bool on)
{
    struct sigaction action = {.sa_handler = on_fatal};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        if (on)
            sigaction(fatal[i], &action, &mode.actions[i]);
        else
            sigaction(fatal[i], &mode.actions[i], NULL);
    }
}

/* Is the terminal ours to read from? A process in the background would be stopped for it. */
static bool in_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void take_mode(void)
{
    struct termios wanted;

    if (mode.changed || tcgetattr(STDIN_FILENO, &mode.before) != 0)
        return;
    wanted = mode.before;
    wanted.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    wanted.c_cc[VMIN] = 1;
    wanted.c_cc[VTIME] = 0;
    mode.changed = 1;
    set_mode(&wanted);
}

/* ---- what is shown ---- */

static void show(const struct buf *text)
{
    size_t done = 0;
    while (done < text->len) {
        ssize_t n = write(STDOUT_FILENO, text->data + done, text->len - done);
        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Does the terminal know sequences that begin with ESC? */
static bool knows_sequences(void)
{
    const char *term = getenv("TERM");
    return term && strcmp(term, "dumb") != 0;
}

static void append_code(const struct terminal *terminal, struct buf *text)
{
    struct winsize size = {0}; /* some terminals don't know theirs */

    (void)!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    qr_append(text, terminal->lan, "  ", size.ws_row, size.ws_col);
}

static void show_addresses(const struct terminal *terminal, bool with_code)
{
    struct buf text = {0};

    if (!terminal->shows)
        return;
    (void)!buf_printf(&text, "\n  Local    %s\n", terminal->url);
    if (*terminal->lan)
        (void)!buf_printf(&text, "  Network  %s\n", terminal->lan);
    else
        (void)!buf_printf(&text,
                          "  Network  not reachable from other machines; --host 0.0.0.0 makes it so\n");
    if (with_code && *terminal->lan && knows_sequences())
        append_code(terminal, &text);
    if (terminal->has_keys)
        (void)!buf_printf(&text, "\n  r reload   o open in a browser   c clear   h addresses   q quit\n");
    (void)!buf_append(&text, "\n", 1);
    show(&text);
    buf_fini(&text);
}

void terminal_url(char out[512], bool secure, const char *host, int port)
{
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, 512, "http%s://%s%s%s:%d", secure ? "s" : "", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* The address of an interface that other machines may know: IPv4 before IPv6, no link-local one. */
static bool lan_address(char *out, size_t size, bool v6_too)
{
    uv_interface_address_t *all;
    int n;
    bool found = false;

    if (uv_interface_addresses(&all, &n) != 0)
        return false;
    for (int family = AF_INET; !found; family = AF_INET6) {
        for (int i = 0; i < n && !found; i++) {
            const uv_interface_address_t *at = &all[i];
            if (at->is_internal || at->address.address4.sin_family != family)
                continue;
            if (family == AF_INET)
                found = uv_ip4_name(&at->address.address4, out, size) == 0;
            else if (!IN6_IS_ADDR_LINKLOCAL(&at->address.address6.sin6_addr))
                found = uv_ip6_name(&at->address.address6, out, size) == 0;
        }
        if (family == AF_INET6 || !v6_too)
            break;
    }
    uv_free_interface_addresses(all, n);
    return found;
}

static void find_addresses(struct terminal *terminal, bool secure, const char *host, const char *address,
                           int port)
{
    char lan[64];
    bool all = strcmp(address, "0.0.0.0") == 0, all_v6 = strcmp(address, "::") == 0;
    bool here = strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;

    terminal_url(terminal->url, secure, all || all_v6 ? "localhost" : host, port);
    if (all || all_v6) {
        if (lan_address(lan, sizeof lan, all_v6))
            terminal_url(terminal->lan, secure, lan, port);
    } else if (!here) {
        terminal_url(terminal->lan, secure, host, port);
    }
}

/* ---- the browser ---- */

static void on_browser_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_browser_exit(uv_process_t *process, int64_t status, int number)
{
    struct terminal *terminal = process->data;

    if (status != 0 || number != 0)
        log_event(LOG_WARN, "no browser could be opened", log_str("url", terminal->url));
    terminal->browser = NULL;
    uv_close((uv_handle_t *)process, on_browser_closed);
}

static void open_browser(struct terminal *terminal)
{
    char *args[] = {"xdg-open", terminal->url, NULL};
    uv_stdio_container_t nothing[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_browser_exit,
                                    .file = args[0],
                                    .args = args,
                                    .stdio = nothing,
                                    .stdio_count = 3,
                                    .flags = UV_PROCESS_DETACHED};

    if (terminal->browser) /* it is still being opened */
        return;
    terminal->browser = xcalloc(sizeof *terminal->browser);
    terminal->browser->data = terminal;
    int rc = uv_spawn(&terminal->loop->uv, terminal->browser, &options);
    if (rc == 0) {
        uv_unref((uv_handle_t *)terminal->browser);
        return;
    }
    log_event(LOG_WARN, "no browser could be opened", log_str("url", terminal->url),
              log_str("error", rc == UV_ENOENT ? "xdg-open is not installed" : uv_strerror(rc)));
    uv_close((uv_handle_t *)terminal->browser, on_browser_closed);
    terminal->browser = NULL;
}

/* ---- keys ---- */

static void clear_screen(const struct terminal *terminal)
{
    static uint8_t sequence[] = "\033[H\033[2J\033[3J";
    if (terminal->shows && knows_sequences())
        show(&(struct buf){.data = sequence, .len = sizeof sequence - 1});
    show_addresses(terminal, false);
}

static void on_key(struct terminal *terminal, char key)
{
    switch (key) {
    case 'r': terminal->ops->reload(terminal->user); break;
    case 'o': open_browser(terminal); break;
    case 'c': clear_screen(terminal); break;
    case 'h':
    case '?': show_addresses(terminal, true); break;
    case 'q': terminal->ops->quit(terminal->user); break;
    default: break;
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct terminal *terminal = handle->data;
    (void)size;
    *buf = uv_buf_init(terminal->input, sizeof terminal->input);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct terminal *terminal = stream->data;

    if (n < 0) { /* hung up */
        uv_read_stop(stream);
        mode.changed = 0;
        terminal->ops->quit(terminal->user);
        return;
    }
    for (ssize_t i = 0; i < n && buf->base[i] != '\033';
         i++) /* an arrow or the like: its letters are no keys */
        on_key(terminal, buf->base[i]);
}

static void read_keys(struct terminal *terminal)
{
    if (!in_foreground())
        return;
    take_mode();
    uv_read_start((uv_stream_t *)&terminal->keys, on_alloc, on_read);
}

/* Ctrl-Z: the shell gets its terminal as it was. */
static void on_stopped(uv_signal_t *handle, int number)
{
    struct terminal *terminal = handle->data;

    (void)number;
    uv_read_stop((uv_stream_t *)&terminal->keys);
    terminal_restore();
    raise(SIGSTOP);
}

/* fg or bg. */
static void on_continued(uv_signal_t *handle, int number)
{
    (void)number;
    read_keys(handle->data);
}

static void watch_signal(struct terminal *terminal, uv_signal_t *handle, uv_signal_cb on_signal, int number)
{
    CHECK(uv_signal_init(&terminal->loop->uv, handle) == 0);
    handle->data = terminal;
    CHECK(uv_signal_start(handle, on_signal, number) == 0);
    uv_unref((uv_handle_t *)handle);
    terminal->open_handles++;
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct terminal *terminal = handle->data;
    if (--terminal->open_handles == 0)
        free(terminal);
}

struct terminal *terminal_open(struct loop *loop, bool secure, const char *host, const char *address,
                               int port, const struct terminal_ops *ops, void *user)
{
    struct terminal *terminal = xcalloc(sizeof *terminal);

    terminal->loop = loop;
    terminal->ops = ops;
    terminal->user = user;
    terminal->shows = isatty(STDOUT_FILENO);
    find_addresses(terminal, secure, host, address, port);
    if (isatty(STDIN_FILENO) && uv_tty_init(&loop->uv, &terminal->keys, STDIN_FILENO, 0) == 0) {
        terminal->has_keys = true;
        terminal->open_handles++;
        terminal->keys.data = terminal;
        watch_signal(terminal, &terminal->stopped, on_stopped, SIGTSTP);
        watch_signal(terminal, &terminal->continued, on_continued, SIGCONT);
        catch_fatal(true);
        read_keys(terminal);
        uv_unref((uv_handle_t *)&terminal->keys);
    }
    show_addresses(terminal, true);
    return terminal;
}

void terminal_close(struct terminal *terminal)
{
    if (!terminal)
        return;
    if (terminal->browser) { /* it goes on without us */
        uv_close((uv_handle_t *)terminal->browser, on_browser_closed);
        terminal->browser = NULL;
    }
    if (!terminal->has_keys) {
        free(terminal);
        return;
    }
    terminal_restore();
    catch_fatal(false);
    uv_close((uv_handle_t *)&terminal->stopped, on_closed);
    uv_close((uv_handle_t *)&terminal->continued, on_closed);
    uv_close((uv_handle_t *)&terminal->keys, on_closed);
}
