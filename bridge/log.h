/* The log: one line per event on standard error. Under systemd's journal the level goes as a prefix and
 * the journal stamps the time; else both stand in the line. Only bridge/ logs. */
#pragma once

enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

/* What is more detailed than `level` is not written. The start is LEVEL_INFO. */
void log_set_level(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);
