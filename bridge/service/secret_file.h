/* Small files that hold secrets: read whole, into memory that is wiped. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Reads all of `path` into `out`, an initialised buffer whose maximum is the most that is accepted.
 * 0; -ENOENT; -EACCES; -EINVAL (anything else: a folder, too large, cannot be read); -ENOMEM; with
 * `err` naming the file. `out` then holds whatever was read; secret_file_wipe it in any case. */
int secret_file_read(struct buf *out, const char *path, struct err *err);

/* Overwrites and frees the bytes. */
void secret_file_wipe(struct buf *buf);
