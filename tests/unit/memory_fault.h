/* Memory that runs out, for the tests named test_*_memory.c: one allocation of the code under
 * test fails, the n-th, and the test goes through all n until none fails any more. Linked with
 * the options of memory_test() in memory.cmake. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Once, before anything is allocated: cJSON and OpenSSL are shared libraries that the linker's
 * wrapping does not reach. */
void memory_fault_init(void);

/* The n-th allocation from now fails (1 = the next one). */
void memory_fault_at(size_t n);

/* No allocation fails any more. Whether one did: false ends the test's loop. */
bool memory_fault_over(void);

/* Allocations since memory_fault_at, the failed one included. */
size_t memory_fault_count(void);

/* Only what is allocated while *inside is true counts, for tests whose fixture allocates too.
 * NULL, as at first: everything counts. */
void memory_fault_only_while(const bool *inside);
