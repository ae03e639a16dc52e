/* How other products spell our keys: hinted in the message for an unknown key, never accepted.
 *
 * Collected from the files of EMQ Neuron, ThingsBoard Gateway, EdgeX, Telegraf, mqmgateway, openHAB,
 * iot-edge-modbus, the Plug and Play bridge, Home Assistant, Ignition and Kepware. A spelling with
 * several meanings stands once for each; the one whose key may stand at the level in question wins. */
#include "config/keys.h"

#include <stddef.h>

/* clang-format off */
const struct keys_spelling keys_spellings[] = {
    /* file */
    { "channels", "connections" }, { "networks", "connections" }, { "buses", "connections" },
    { "endpoints", "connections" }, { "masters", "connections" }, { "lines", "connections" },
    { "profiles", "templates" }, { "deviceprofiles", "templates" }, { "models", "templates" },
    { "slaves", "devices" }, { "slaveconfigs", "devices" }, { "units", "devices" },
    { "servers", "devices" }, { "devicelist", "devices" }, { "twins", "modules" },
    { "iothub", "hub" }, { "azure", "hub" }, { "cloud", "hub" }, { "http", "status" },
    { "statedirectory", "state" }, { "statedir", "state" }, { "statefolder", "state" },
    { "datadir", "state" }, { "storage", "state" },
    { "allowwrites", "writes" }, { "writable", "writes" }, { "readonly", "writes" },
    { "zerobased", "address_base" }, { "addressoffset", "address_base" },
    { "baseaddress", "address_base" },

    /* hub */
    { "iothub", "host_name" }, { "hubname", "host_name" }, { "hub", "host_name" },
    { "host", "host_name" }, { "server", "host_name" }, { "url", "host_name" },
    { "gatewayid", "device_id" }, { "clientid", "device_id" }, { "edgedeviceid", "device_id" },
    { "credentialsfolder", "credentials" }, { "credentialsdir", "credentials" },
    { "secrets", "credentials" }, { "keys", "credentials" },
    { "ca", "ca_file" }, { "cacert", "ca_file" }, { "rootca", "ca_file" },
    { "trustedcert", "ca_file" }, { "trustedcerts", "ca_file" },
    { "sasttl", "token_lifetime" }, { "tokenttl", "token_lifetime" }, { "ttl", "token_lifetime" },
    { "sastokenlifetime", "token_lifetime" },
    { "keepaliveinterval", "keepalive" },

    /* status */
    { "address", "listen" }, { "bind", "listen" }, { "host", "listen" }, { "port", "listen" },
    { "listenaddress", "listen" },

    /* connection */
    { "protocol", "transport" }, { "type", "transport" }, { "connectionmode", "transport" },
    { "ip", "host" }, { "ipaddress", "host" }, { "address", "host" }, { "hostname", "host" },
    { "server", "host" }, { "url", "host" }, { "controller", "host" },
    { "slaveconnection", "host" }, { "tcpport", "port" },
    { "enable", "enabled" }, { "disable", "enabled" }, { "disabled", "enabled" },
    { "active", "enabled" },
    { "timeout", "response_timeout" }, { "readtimeout", "response_timeout" },
    { "requesttimeout", "response_timeout" }, { "responsetimeoutms", "response_timeout" },
    { "timeoutms", "response_timeout" },
    { "retries", "read_retries" }, { "retrycount", "read_retries" },
    { "maxretries", "read_retries" }, { "maxtries", "read_retries" },
    { "readmaxtries", "read_retries" }, { "busyretries", "read_retries" },
    { "writemaxtries", "write_retries" },

    /* device */
    { "slaveid", "unit_id" }, { "slave", "unit_id" }, { "unit", "unit_id" }, { "id", "unit_id" },
    { "hwid", "unit_id" }, { "deviceaddress", "unit_id" }, { "address", "unit_id" },
    { "serverid", "unit_id" }, { "station", "unit_id" }, { "stationid", "unit_id" },
    { "bus", "connection" }, { "line", "connection" }, { "channel", "connection" },
    { "network", "connection" }, { "endpoint", "connection" },
    { "profile", "template" }, { "profilename", "template" }, { "devicetype", "template" },
    { "model", "template" },
    { "registers", "tags" }, { "points", "tags" }, { "fields", "tags" }, { "metrics", "tags" },
    { "operations", "tags" }, { "datapoints", "tags" }, { "deviceresources", "tags" },
    { "timeseries", "tags" }, { "attributes", "tags" }, { "telemetry", "tags" },
    { "overrides", "tags" }, { "variables", "tags" },
    { "modulename", "module" }, { "moduleid", "module" },
    { "comment", "description" }, { "comments", "description" }, { "note", "description" },
    { "label", "description" }, { "displayname", "description" }, { "desc", "description" },

    /* anywhere */
    { "interval", "poll_interval" }, { "scanrate", "poll_interval" },
    { "scaninterval", "poll_interval" }, { "scanperiod", "poll_interval" },
    { "pollperiod", "poll_interval" }, { "pollrate", "poll_interval" },
    { "pollintervalms", "poll_interval" }, { "pollinginterval", "poll_interval" },
    { "pollingperiod", "poll_interval" }, { "defaultfrequency", "poll_interval" },
    { "refresh", "poll_interval" }, { "refreshinterval", "poll_interval" },
    { "period", "poll_interval" }, { "updateinterval", "poll_interval" },
    { "reportstrategy", "report" }, { "publishmode", "report" }, { "onchange", "report" },
    { "onchangethreshold", "deadband" }, { "threshold", "deadband" },
    { "hysteresis", "deadband" },
    { "publishinterval", "min_interval" }, { "throttle", "min_interval" },
    { "reportperiod", "max_silence" }, { "maxinterval", "max_silence" },
    { "updateunchangedvalueseverymillis", "max_silence" },
    { "expireafter", "stale_after" }, { "staletimeout", "stale_after" },
    { "byteorder", "byte_order" }, { "wordorder", "byte_order" }, { "endianness", "byte_order" },
    { "endianess", "byte_order" }, { "endian", "byte_order" }, { "swap", "byte_order" },
    { "iswordswap", "byte_order" }, { "isbyteswap", "byte_order" }, { "wordswap", "byte_order" },

    /* tag */
    { "functioncode", "table" }, { "function", "table" }, { "fc", "table" },
    { "registertype", "table" }, { "inputtype", "table" }, { "primarytable", "table" },
    { "modbustype", "table" },
    { "register", "address" }, { "registeraddress", "address" }, { "startaddress", "address" },
    { "startingaddress", "address" }, { "readstart", "address" }, { "start", "address" },
    { "datatype", "type" }, { "valuetype", "type" }, { "rawtype", "type" },
    { "readvaluetype", "type" },
    { "bitindex", "bit" }, { "bitoffset", "bit" }, { "bitnumber", "bit" },
    { "multiplier", "scale" }, { "factor", "scale" }, { "scaling", "scale" },
    { "scalefactor", "scale" }, { "conversioncoefficient", "scale" }, { "coefficient", "scale" },
    { "gain", "scale" }, { "divider", "scale" }, { "decimal", "scale" },
    { "bias", "offset" },
    { "precision", "decimals" }, { "round", "decimals" }, { "rounding", "decimals" },
    { "decimalplaces", "decimals" },
    { "uom", "unit" }, { "units", "unit" }, { "unitofmeasurement", "unit" },
    { "engineeringunit", "unit" },
    { "readwrite", "access" }, { "mode", "access" }, { "writable", "access" },
    { "writeable", "access" }, { "readonly", "access" }, { "clientaccess", "access" },
    { "attribute", "access" },
    { "minimum", "min" }, { "minvalue", "min" }, { "writemin", "min" },
    { "maximum", "max" }, { "maxvalue", "max" }, { "writemax", "max" },
    { "increment", "step" }, { "resolution", "step" },
    { "readback", "verify" }, { "once", "write_once" }, { "pulse", "write_once" },
    { "writetimeout", "write_deadline" },

    /* module */
    { "component", "components" }, { "device", "devices" }, { "members", "devices" },
    { "connectionstringpath", "connection_string_file" },
    { "credential", "connection_string_file" }, { "credentialsfile", "connection_string_file" },
    { NULL, NULL },
};
/* clang-format on */
