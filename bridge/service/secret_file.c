/* Reading of small files. Everything lies in one buffer of the maximum's size from the start: it
 * does not grow, so that no copy of a secret is left behind. */
#include "bridge/service/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* 0; -EMSGSIZE when there is more than fits; -errno. */
static int read_all(struct buf *out, int fd)
{
    uint8_t *space = buf_reserve(out, out->max);
    size_t length = 0;
    ssize_t count;
    char more;

    if (space == NULL)
        return -ENOMEM;
    do {
        count = read(fd, space + length, out->max - length);
        if (count < 0 && errno != EINTR)
            return -errno;
        length += count > 0 ? (size_t)count : 0;
    } while (count != 0 && length < out->max);
    buf_commit(out, length);
    return length == out->max && read(fd, &more, 1) != 0 ? -EMSGSIZE : 0;
}

int secret_file_read(struct buf *out, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : read_all(out, fd);

    if (fd >= 0)
        close(fd);
    if (rc == 0)
        return 0;
    if (rc == -EMSGSIZE)
        err_set(err, "%s: larger than %zu bytes", path, out->max);
    else
        err_set(err, "%s: cannot read: %s", path, strerror(-rc));
    return rc == -ENOENT || rc == -EACCES || rc == -ENOMEM ? rc : -EINVAL;
}

void secret_file_wipe(struct buf *buf)
{
    if (buf->bytes != NULL)
        explicit_bzero(buf->bytes, buf->capacity);
    buf_done(buf);
}
