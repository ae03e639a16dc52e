/* Mapping files, with the real adapters' check.
 *
 * Input: the text of the file. Demanded: a file is refused exactly when there is a mistake;
 * every mistake is printed as a line with its place, and as JSON; what is accepted can be
 * planned: every block is a request that Modbus allows, and every readable tag is in one. */
#include "adapters/adapter.h"
#include "adapters/modbus/codec.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/plan.h"
#include "config/config.h"

#include "tests/fuzz/fuzz.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATH_BYTES = 64 };

/* A file in memory; its path. */
static int memory_file(const uint8_t *bytes, size_t length, char path[PATH_BYTES])
{
    int fd = memfd_create("mapping", MFD_CLOEXEC);

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
        abort();
    snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

/* "PATH:LINE:COLUMN: ..." or, of the whole file, "PATH: ..." */
static void require_lines(const char *text, const char *path, size_t count)
{
    size_t lines = 0;

    while (*text != 0) {
        const char *end = strchr(text, '\n');

        FUZZ_REQUIRE(end != NULL);
        FUZZ_REQUIRE(strncmp(text, path, strlen(path)) == 0 && text[strlen(path)] == ':');
        text = end + 1;
        lines++;
    }
    FUZZ_REQUIRE(lines >= count); /* one more when there are too many to be listed */
}

static void print_errors(const struct config_errors *errors, const char *path)
{
    size_t mistakes = config_errors_count(errors), warnings = config_warnings_count(errors), size;
    char *text = NULL, *json = config_errors_json(errors);
    FILE *stream = open_memstream(&text, &size);
    cJSON *tree = cJSON_Parse(json);

    FUZZ_REQUIRE(stream != NULL && json != NULL);
    config_errors_print(errors, stream);
    fclose(stream);
    FUZZ_REQUIRE(strlen(text) == size);
    if (mistakes + warnings < 1000)
        require_lines(text, path, mistakes + warnings);
    FUZZ_REQUIRE(cJSON_IsArray(tree));
    cJSON_Delete(tree);
    free(json);
    free(text);
}

static void require_block(const struct plan *plan, size_t index)
{
    const struct plan_block *block = &plan->blocks[index];
    const struct modbus_device *device = plan->device;
    struct pdu request;

    FUZZ_REQUIRE(plan_read_block(&request, block) == 0);
    FUZZ_REQUIRE(block->count <=
                 (mapping_is_bits(block->table) ? device->max_bits : device->max_registers));
    FUZZ_REQUIRE(block->tag_count >= 1 && block->poll_interval_ms > 0);
    for (size_t i = 0; i < block->tag_count; i++) {
        const struct modbus_tag *tag = &device->tags[block->tags[i]];

        FUZZ_REQUIRE(tag->table == block->table && tag->address >= block->start);
        FUZZ_REQUIRE(tag->address + tag->count <= block->start + block->count);
    }
}

static void require_plan(const struct modbus_device *device)
{
    struct plan *plan;
    size_t readable = 0, planned = 0, added;

    FUZZ_REQUIRE(plan_new(&plan, device) == 0);
    for (size_t i = 0; i < device->tag_count; i++)
        readable += (device->tags[i].access & CONFIG_READ) != 0;
    for (size_t i = 0; i < plan->block_count; i++) {
        require_block(plan, i);
        planned += plan->blocks[i].tag_count;
    }
    FUZZ_REQUIRE(planned == readable && plan->block_max >= plan->block_count);
    for (size_t i = 0; i < plan->block_count; i++) {
        while (plan_split(plan, i, &added) == 0)
            require_block(plan, added);
        require_block(plan, i);
    }
    plan_free(plan);
}

static void require_tag(const struct config_tag *tag, const struct modbus_tag *modbus)
{
    uint8_t raw[CODEC_RAW_MAX];
    struct pdu request;
    struct value value;

    FUZZ_REQUIRE(tag->type != VALUE_NONE && tag->lowest <= tag->highest);
    FUZZ_REQUIRE(isfinite(tag->lowest) && isfinite(tag->highest) && modbus->scale != 0);
    FUZZ_REQUIRE(tag->poll_interval_ms > 0 && tag->stale_after_ms > 0);
    FUZZ_REQUIRE(plan_read_tag(&request, modbus) == 0);
    if ((tag->access & CONFIG_WRITE) == 0)
        return;
    value = tag->type == VALUE_BOOL  ? value_bool(true)
            : tag->type == VALUE_INT ? value_int((int64_t)tag->lowest)
                                     : value_float(tag->lowest);
    if (codec_encode(modbus, value, raw) == 0)
        FUZZ_REQUIRE(plan_write_tag(&request, modbus, raw) == 0);
}

static void require_config(const struct config *config)
{
    FUZZ_REQUIRE(config->hub.host_name != NULL && config->name != NULL);
    for (size_t i = 0; i < config->connection_count; i++) {
        struct modbus_connection *connection;

        FUZZ_REQUIRE(mapping_read(&connection, config, i) == 0);
        FUZZ_REQUIRE(connection->device_count == config->connections[i].device_count);
        for (size_t k = 0; k < connection->device_count; k++) {
            const struct modbus_device *device = &connection->devices[k];
            const struct config_device *known = &config->devices[device->index];

            FUZZ_REQUIRE(device->tag_count == known->tag_count);
            for (size_t t = 0; t < device->tag_count; t++)
                require_tag(&known->tags[t], &device->tags[t]);
            require_plan(device);
        }
        mapping_free(connection);
    }
    for (size_t i = 0; i < config->module_count; i++)
        FUZZ_REQUIRE(config->modules[i].device_count >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors *errors = config_errors_new();
    struct config *config = NULL;
    char path[PATH_BYTES];
    int fd = memory_file(data, size, path);
    int rc;

    FUZZ_REQUIRE(errors != NULL && lseek(fd, 0, SEEK_SET) == 0);
    rc = config_load(&config, path, adapters_config, errors);
    FUZZ_REQUIRE(rc == 0 || rc == -EINVAL);
    FUZZ_REQUIRE((rc == 0) == (config_errors_count(errors) == 0));
    FUZZ_REQUIRE((rc == 0) == (config != NULL));
    print_errors(errors, path);
    if (rc == 0)
        require_config(config);
    config_free(config);
    config_errors_free(errors);
    close(fd);
    return 0;
}
