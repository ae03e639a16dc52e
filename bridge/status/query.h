/* What a request to /api/status asks for, read from its query string. Pure. */
#pragma once

#include "base/err.h"
#include "bridge/status/server.h"

/* Nothing asked for: everything is wanted. */
void status_query_init(struct status_query *query);

/* Takes one decoded argument, "key=value": tags (0, 1), device, search, offset, limit. An argument that
 * comes twice counts the second time. 0; -EINVAL with `err` saying what is allowed, `query` untouched. */
int status_query_add(struct status_query *query, const char *argument, struct err *err);
