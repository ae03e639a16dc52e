/* Modbus/TCP servers on the loop: one listening address with the registers behind it, and its
 * clients. libmodbus reads and answers each request; here is decided when it may, so that it never
 * waits. */
#pragma once

#include "base/err.h"
#include "tests/sim/modbussim/registers.h"

#include <stddef.h>
#include <uv.h>

struct server;

/* select() inside libmodbus ends at descriptor 1023 and the process with it; this many clients
 * leave room for the rest. One more is hung up on. */
enum { SERVER_CLIENTS_MAX = 900 };

/* Serves `registers` (borrowed) to who connects to `fd`, a listening socket that becomes the
 * server's, also when this fails. `clients` counts those of all servers. 0, -ENOMEM, or the loop's
 * error. */
int server_new(struct server **out, uv_loop_t *loop, int fd, struct registers *registers,
               size_t *clients);

/* Closes the server and its clients; freed when the loop has closed the handles. */
void server_close(struct server *server);
