/* edge: files of a folder, found and read on other threads; nothing leads out of it, with the kernel's help
 * or without. */
#include "edge/static_file.h"

#include "project_files.h"

#include <errno.h>

struct fixture {
    struct project_files files;
    struct loop loop;
    struct static_folder *folder;
    int fd;
};

static void open_fixture(struct fixture *fixture, bool beneath)
{
    *fixture = (struct fixture){0};
    project_files_init(&fixture->files);
    project_files_write(&fixture->files, "canary", "outside");
    project_files_write(&fixture->files, "public/a.txt", "inside");
    project_files_write(&fixture->files, "public/folder/b.txt", "deeper");
    project_files_write(&fixture->files, "public/site/index.html", "<p>");
    project_files_write(&fixture->files, "public/odd/index.html/x", "");
    project_files_write(&fixture->files, "public/empty", "");
    project_files_link(&fixture->files, "public/in", "a.txt");
    project_files_link(&fixture->files, "public/in-folder", "folder");
    project_files_link(&fixture->files, "public/folder/up", "../a.txt");
    project_files_link(&fixture->files, "public/out", "../canary");
    project_files_link(&fixture->files, "public/out-folder", "..");
    project_files_link(&fixture->files, "public/folder/out", "../../canary");
    project_files_link(&fixture->files, "public/absolute", "/etc/passwd");
    project_files_link(&fixture->files, "public/root", "/");
    project_files_link(&fixture->files, "public/there-and-back", "../public/a.txt");
    project_files_link(&fixture->files, "public/proc", "/proc/self/root/etc/passwd");
    project_files_link(&fixture->files, "public/dangling", "nothing");
    project_files_link(&fixture->files, "public/loop", "loop");
    project_files_link(&fixture->files, "public/linked-site/index.html", "../../canary");
    assert_int_equal(mkfifo(project_files_path(&fixture->files, "public/fifo"), 0600), 0);
    fixture->fd = open(project_files_path(&fixture->files, "public"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->fd >= 0);
    assert_int_equal(loop_init(&fixture->loop), 0);
    fixture->folder = static_folder_new(fixture->fd);
    assert_non_null(fixture->folder);
    if (beneath && !fixture->folder->beneath)
        skip();
    fixture->folder->beneath = beneath;
}

static void close_fixture(struct fixture *fixture)
{
    assert_int_equal(fixture->loop.n_jobs, 0);
    assert_int_equal(fixture->folder->refs, 1);
    static_folder_unref(fixture->folder);
    loop_fini(&fixture->loop);
    close(fixture->fd);
    project_files_fini(&fixture->files);
}

static unsigned n_found;

static void on_found(struct static_lookup *lookup)
{
    (void)lookup;
    n_found++;
}

static struct static_lookup look_up(struct fixture *fixture, const char *path)
{
    struct static_lookup lookup = {.folder = fixture->folder, .path = path, .found = on_found};

    n_found = 0;
    static_lookup_start(&lookup, &fixture->loop);
    assert_int_equal(fixture->loop.n_jobs, 1);
    loop_run(&fixture->loop); /* until nothing is under way */
    assert_int_equal(n_found, 1);
    return lookup;
}

struct reader {
    struct http_sink sink;
    struct http_source *source;
    uint64_t want;
    struct buf got;
    unsigned pieces;
    bool failed;
};

static void on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct reader *reader = container_of(sink, struct reader, sink);

    reader->pieces++;
    if (!piece) {
        reader->failed = true;
        return;
    }
    assert_true(piece->len > 0 && piece->len <= STATIC_PIECE);
    assert_int_equal(buf_append(&reader->got, piece->data, piece->len), 0);
    bytes_unref(piece);
    if (reader->got.len < reader->want)
        reader->source->pull(reader->source, sink);
}

static struct reader read_all(struct fixture *fixture, int fd, uint64_t first, uint64_t len)
{
    struct reader reader = {.sink.piece = on_piece, .want = len};

    reader.source = static_source_new(&fixture->loop, fd, first, len);
    assert_int_equal(reader.source->length, len);
    reader.source->pull(reader.source, &reader.sink);
    assert_int_equal(reader.pieces, 0); /* never from within */
    loop_run(&fixture->loop);
    reader.source->close(reader.source);
    return reader;
}

/* What a path leads to: a file's content, or an error. */
static void expect(struct fixture *fixture, const char *path, const char *content, int error)
{
    struct static_lookup lookup = look_up(fixture, path);

    if (lookup.error != (content ? 0 : error))
        fail_msg("%s: %d, not %d", path, lookup.error, content ? 0 : error);
    if (lookup.error)
        return;
    size_t size = (size_t)lookup.info.st_size;
    assert_int_equal(size, strlen(content));
    if (size == 0) {
        close(lookup.fd);
        return;
    }
    struct reader reader = read_all(fixture, lookup.fd, 0, size);
    assert_false(reader.failed);
    assert_memory_equal(reader.got.data, content, size);
    buf_fini(&reader.got);
}

static void check_paths(bool beneath)
{
    /* Links that stay inside are followed where the kernel sees to it. */
    const char *link = beneath ? "inside" : NULL;
    struct fixture fixture;
    char longest[PATH_MAX * 2];

    open_fixture(&fixture, beneath);
    expect(&fixture, "a.txt", "inside", 0);
    expect(&fixture, "folder/b.txt", "deeper", 0);
    expect(&fixture, "empty", "", 0);
    expect(&fixture, "site/index.html", "<p>", 0);
    expect(&fixture, "in", link, -ENOENT);
    expect(&fixture, "folder/up", link, -ENOENT);
    expect(&fixture, "in-folder/b.txt", beneath ? "deeper" : NULL, -ENOENT);

    expect(&fixture, "site", NULL, -EISDIR);
    expect(&fixture, "folder", NULL, -ENOENT);
    expect(&fixture, "odd", NULL, -ENOENT);
    expect(&fixture, "odd/index.html", NULL, -ENOENT);
    expect(&fixture, "linked-site", NULL, -ENOENT);
    expect(&fixture, "linked-site/index.html", NULL, -ENOENT);
    expect(&fixture, "fifo", NULL, -ENOENT);
    expect(&fixture, "nothing", NULL, -ENOENT);
    expect(&fixture, "nothing/at/all", NULL, -ENOENT);
    expect(&fixture, "a.txt/b", NULL, -ENOENT);

    static const char *const out[] = {
        "out",
        "out-folder",
        "out-folder/canary",
        "folder/out",
        "absolute",
        "root",
        "root/etc/passwd",
        "there-and-back",
        "proc",
        "dangling",
        "loop",
        "in-folder/out",
        "out-folder/public",
        "in-folder/up/x",
        "root/proc/self/environ",
        "in/../../c",
        "out-folder/public/a",
        "folder/out/../index",
        "root/etc/hosts",
        "loop/x",
    };
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        expect(&fixture, out[i], NULL, -ENOENT);

    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    expect(&fixture, longest, NULL, -ENOENT);
    for (size_t i = 1; i < sizeof longest - 1; i += 2)
        longest[i] = '/';
    expect(&fixture, longest, NULL, -ENOENT);
    close_fixture(&fixture);
}

static void paths_with_openat2(void **state)
{
    (void)state;
    check_paths(true);
}

static void paths_without(void **state)
{
    (void)state;
    check_paths(false);
}

static void a_file_that_may_not_be_read(void **state)
{
    struct fixture fixture;
    (void)state;
    if (geteuid() == 0)
        skip(); /* root may read everything */
    open_fixture(&fixture, false);
    assert_int_equal(chmod(project_files_path(&fixture.files, "public/a.txt"), 0), 0);
    expect(&fixture, "a.txt", NULL, -EACCES);
    close_fixture(&fixture);
}

/* Several pieces, and a part of them. */
static void a_large_file(void **state)
{
    const size_t size = STATIC_PIECE * 2 + STATIC_PIECE / 2;
    struct fixture fixture;
    char *content = malloc(size);
    (void)state;

    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = (char)(i * 31 >> 3);
    open_fixture(&fixture, false);
    project_files_write_bytes(&fixture.files, "public/large", content, size);
    static const size_t parts[][2] = {
        {0, 0}, {1, 0}, {STATIC_PIECE, 0}, {STATIC_PIECE - 1, 2}, {7, STATIC_PIECE}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct static_lookup lookup = look_up(&fixture, "large");
        size_t first = parts[i][0], len = parts[i][1] ? parts[i][1] : size - first;
        struct reader reader = read_all(&fixture, lookup.fd, first, len);
        assert_false(reader.failed);
        assert_int_equal(reader.got.len, len);
        assert_memory_equal(reader.got.data, content + first, len);
        assert_int_equal(reader.pieces, (len + STATIC_PIECE - 1) / STATIC_PIECE);
        buf_fini(&reader.got);
    }
    free(content);
    close_fixture(&fixture);
}

static void a_file_that_gets_shorter(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture, false);
    struct static_lookup lookup = look_up(&fixture, "a.txt");
    assert_int_equal(truncate(project_files_path(&fixture.files, "public/a.txt"), 2), 0);
    struct reader reader = read_all(&fixture, lookup.fd, 0, 6);
    assert_true(reader.failed);
    assert_int_equal(reader.got.len, 2); /* what there was, then nothing */
    buf_fini(&reader.got);
    close_fixture(&fixture);
}

/* Nobody is called, and nothing stays: the sanitizers look. */
static void a_source_that_is_closed_while_it_reads(void **state)
{
    struct fixture fixture;
    struct reader reader = {.sink.piece = on_piece, .want = 6};
    (void)state;
    open_fixture(&fixture, false);
    struct static_lookup lookup = look_up(&fixture, "a.txt");
    struct http_source *source = static_source_new(&fixture.loop, lookup.fd, 0, 6);
    source->pull(source, &reader.sink);
    source->close(source);
    loop_run(&fixture.loop);
    assert_int_equal(reader.pieces, 0);
    assert_int_equal(fcntl(lookup.fd, F_GETFD), -1);

    lookup = look_up(&fixture, "a.txt");
    source = static_source_new(&fixture.loop, lookup.fd, 0, 6);
    source->close(source);
    assert_int_equal(fcntl(lookup.fd, F_GETFD), -1);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_with_openat2),
        cmocka_unit_test(paths_without),
        cmocka_unit_test(a_file_that_may_not_be_read),
        cmocka_unit_test(a_large_file),
        cmocka_unit_test(a_file_that_gets_shorter),
        cmocka_unit_test(a_source_that_is_closed_while_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
