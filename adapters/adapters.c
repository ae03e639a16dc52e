/* The table of adapters: a second protocol is a folder and a row in each of the two. */
#include "adapters/adapter.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/modbus.h"

const struct adapter_ops *const adapters_all[] = { &modbus_adapter, NULL };
const struct config_adapter *const adapters_config[] = { &modbus_mapping, NULL };

const struct adapter_ops *adapters_find(const struct config_adapter *config)
{
    for (size_t i = 0; adapters_all[i] != NULL; i++)
        if (adapters_all[i]->config == config)
            return adapters_all[i];
    return NULL;
}
