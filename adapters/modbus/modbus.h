/* Modbus as an adapter: the operations of adapters/adapter.h over one line. */
#pragma once

#include "adapters/adapter.h"

extern const struct adapter_ops modbus_adapter;
