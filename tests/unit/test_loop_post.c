/* Messages between threads: none lost, each sender's in order, and the loop woken from sleep. */
#include "loop/loop.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SENDERS 4
#define MESSAGES 20000

static struct loop loop;

struct letter {
    struct loop_message message;
    unsigned sender, number;
};

static unsigned next_number[SENDERS], received;

static void open_letter(struct loop_message *message)
{
    struct letter *letter = container_of(message, struct letter, message);

    assert_int_equal(letter->number, next_number[letter->sender]);
    next_number[letter->sender]++;
    received++;
    free(letter);
    if (received == SENDERS * MESSAGES)
        loop_release(&loop);
}

static void *send_letters(void *user)
{
    unsigned sender = *(unsigned *)user;
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct letter *letter = malloc(sizeof *letter);
        if (!letter)
            abort();
        *letter = (struct letter){{.fn = open_letter}, sender, i};
        loop_post(&loop, &letter->message);
        if (i % 1000 == 0)
            sched_yield(); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

static void all_arrive_in_order(void **state)
{
    pthread_t threads[SENDERS];
    unsigned numbers[SENDERS];
    (void)state;

    assert_int_equal(loop_init(&loop), 0);
    loop_hold(&loop);
    for (unsigned i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &numbers[i]), 0);
    }
    loop_run(&loop);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(received, SENDERS * MESSAGES);
    loop_fini(&loop);
}

/* ---- there and back: two loops, each asleep until the other writes ---- */

#define ROUNDS 2000

struct ball {
    struct loop_message message;
    struct loop *here, *there;
    unsigned rounds;
};

static void hit(struct loop_message *message)
{
    struct ball *ball = container_of(message, struct ball, message);
    struct loop *here = ball->here;
    bool last = ball->rounds >= ROUNDS, end = ball->rounds > ROUNDS;

    ball->here = ball->there;
    ball->there = here;
    ball->rounds++;
    if (!end)
        loop_post(ball->here, message); /* from here on it belongs to the other one */
    if (last)
        loop_release(here);
}

static void *run_loop(void *user)
{
    loop_run(user);
    return NULL;
}

static void two_loops_wake_each_other(void **state)
{
    struct loop a, b;
    struct ball ball = {.message.fn = hit, .here = &a, .there = &b};
    pthread_t thread;
    (void)state;

    assert_int_equal(loop_init(&a), 0);
    assert_int_equal(loop_init(&b), 0);
    loop_hold(&a);
    loop_hold(&b);
    loop_post(&a, &ball.message);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, &b), 0);
    loop_run(&a);
    pthread_join(thread, NULL);
    assert_int_equal(ball.rounds, ROUNDS + 2);
    loop_fini(&a);
    loop_fini(&b);
}

/* ---- a message that sends itself on ---- */

static unsigned hops;

static void hop(struct loop_message *message)
{
    if (++hops < 100)
        loop_post(&loop, message);
    else
        loop_release(&loop);
}

static void a_message_may_be_posted_again(void **state)
{
    struct loop_message message = {.fn = hop};
    (void)state;

    assert_int_equal(loop_init(&loop), 0);
    loop_hold(&loop);
    loop_post(&loop, &message);
    loop_run(&loop);
    assert_int_equal(hops, 100);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrive_in_order),
        cmocka_unit_test(two_loops_wake_each_other),
        cmocka_unit_test(a_message_may_be_posted_again),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
