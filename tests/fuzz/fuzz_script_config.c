/* Any text as festa.lua: it runs in an empty environment, within bounds on steps and memory, and ends as a
 * configuration or a complaint. */
#include "script/config_file.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config config;
    struct buf error = {0};

    if (fd < 0) {
        fd = memfd_create("festa.lua", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    config_init(&config);
    int rc = config_file_read(&config, path, false, &error);
    if ((rc == 0) != (error.len == 0))
        abort();
    for (const struct limit_info *info = limit_infos; info->name; info++) {
        uint64_t value;
        memcpy(&value, (char *)&config.limits + info->offset, sizeof value);
        if (value != info->fallback && (value < info->least || value > info->most))
            abort();
    }
    config_fini(&config);
    buf_fini(&error);
    return 0;
}
