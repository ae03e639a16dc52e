/* page.html as the build has turned it into bytes (embed.cmake). */
#pragma once

#include <stddef.h>

extern const unsigned char status_page[];
extern const size_t status_page_length;

/* Its Content-Security-Policy: the one script and the one style of the page, by hash, and nothing else. */
extern const char status_page_policy[];
