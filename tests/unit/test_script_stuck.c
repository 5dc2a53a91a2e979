/* A handler that nothing stops, since it never asks: the process ends, and says for whom. Each test's process is
 * a child, forked before there are threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "script_driver.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static int never_asks(lua_State *L)
{
    (void)L;
    for (volatile bool more = true; more;)
        continue;
    return 0;
}

static void ignore_end(struct task *task, enum call_result result)
{
    (void)task;
    (void)result;
}

static void run_child(int fd)
{
    struct script_driver driver;

    dup2(fd, STDERR_FILENO);
    alarm(120); /* if it is not ended */
    script_driver_init(&driver, NULL);
    driver.project->config.limits.handler_time = 20;
    driver.project->config.limits.stuck_time = 100;
    struct vm *vm = vm_new(&driver.script, &driver.party, NULL);
    if (vm)
        call_start(vm, "onMessage", never_asks, NULL, NULL, ignore_end);
    _exit(0);
}

static void a_stuck_handler_ends_the_process(void **state)
{
    (void)state;
    int ends[2], status;
    char text[4096];
    size_t len = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(ends[1]);
    close(ends[1]);
    for (ssize_t n; len < sizeof text - 1 && (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    text[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    print_message("%s", text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "stuck"));
    assert_non_null(strstr(text, "stuckTime"));
    assert_non_null(strstr(text, "party=test"));
    assert_non_null(strstr(text, "handler=onMessage"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_stuck_handler_ends_the_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
