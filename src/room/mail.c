/* Carries what rooms send each other, see mail.h. */
#include "room/mail.h"

#include "base/check.h"
#include "room/room.h"

static void on_message(struct loop_message *message)
{
    struct mail *mail = container_of(message, struct mail, message);
    mail->arrive(mail);
}

/* What is sent meanwhile comes behind the others' turn. */
static void on_soon(struct soon *soon)
{
    struct rooms *rooms = container_of(soon, struct rooms, arrive);
    struct list batch, *link;

    list_init(&batch);
    list_splice(&batch, &rooms->arrivals);
    while ((link = list_pop(&batch)) != NULL) {
        struct mail *mail = container_of(link, struct mail, link);
        mail->arrive(mail);
    }
}

void mail_send(struct mail *mail, struct rooms *from, struct rooms *to, void (*arrive)(struct mail *mail))
{
    mail->to = to;
    mail->arrive = arrive;
    if (from == to) {
        list_push(&to->arrivals, &mail->link);
        loop_soon(to->loop, &to->arrive);
        loop_keep_turning(to->loop);
    } else {
        mail->message.fn = on_message;
        loop_post(to->loop, &mail->message);
    }
}

void mail_init(struct rooms *rooms)
{
    list_init(&rooms->arrivals);
    rooms->arrive.fn = on_soon;
}

void mail_fini(struct rooms *rooms)
{
    CHECK(list_empty(&rooms->arrivals));
    loop_soon_cancel(&rooms->arrive);
}

void mail_hold(struct rooms *rooms)
{
    if (rooms->team)
        rooms->team->away++;
}

void mail_release(struct rooms *rooms)
{
    if (rooms->team)
        rooms->team->away--;
}
