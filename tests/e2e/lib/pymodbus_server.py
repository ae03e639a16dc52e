"""A Modbus/TCP device that is not ours: Debian's python3-pymodbus, with a control connection.

Prints "listening 127.0.0.1:PORT", "control 127.0.0.1:PORT", "ready". The control connection takes one
JSON object a line ({"do": "set", ...}) and answers {"ok": ...} or {"error": "..."}; it works on the same
registers as the clients. The same objects, as one JSON list on standard input, are carried out before the
first client is served. Addresses that nobody set answer exception 2. SIGTERM ends it with 0.
"""

import argparse
import asyncio
import json
import signal
import sys
import time

from pymodbus.datastore import ModbusServerContext
from pymodbus.exceptions import NoSuchSlaveException
from pymodbus.interfaces import IModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer
from pymodbus.transaction import ModbusSocketFramer

TABLES = {"coil": "c", "discrete": "d", "input": "i", "holding": "h"}
WRITES = (5, 6, 15, 16, 22, 23)


class Unit(IModbusSlaveContext):
    """The four tables of a unit; remembers what its clients did."""

    def __init__(self, number, log):
        self.number = number
        self.log = log
        self.silent = False
        self.stuck = set()
        self.tables = {letter: {} for letter in TABLES.values()}

    def table(self, function):
        return self.tables[self.decode(function)]

    def validate(self, fc_as_hex, address, count=1):
        if self.silent:
            raise NoSuchSlaveException("silent")  # not answered: ignore_missing_slaves
        table = self.table(fc_as_hex)
        return all(address + i in table for i in range(count))

    def getValues(self, fc_as_hex, address, count=1):
        self.log["reads"].append(
            {"unit": self.number, "function": fc_as_hex, "address": address, "count": count}
        )
        table = self.table(fc_as_hex)
        return [table[address + i] for i in range(count)]

    def setValues(self, fc_as_hex, address, values):
        self.log["writes"].append(
            {
                "unit": self.number,
                "function": fc_as_hex,
                "address": address,
                "values": [int(value) for value in values],
            }
        )
        self.log["write_times"].append(time.time_ns() // 1_000_000)
        for i, value in enumerate(values):
            if (self.decode(fc_as_hex), address + i) not in self.stuck:
                self.table(fc_as_hex)[address + i] = value

    def reset(self):
        for table in self.tables.values():
            table.clear()


class Device:
    def __init__(self, numbers):
        self.log = {"reads": [], "writes": [], "write_times": []}
        self.units = {number: Unit(number, self.log) for number in numbers}
        self.context = ModbusServerContext(slaves=dict(self.units), single=False)
        self.server = None

    def do(self, order):
        """Carries out one order of the control connection."""
        what = order["do"]
        if what in self.log:
            return self.log[what]
        if what == "drop":
            for connection in list(self.server.active_connections.values()):
                connection.transport.abort()
            return None
        number = order["unit"]
        if what == "silent":
            self.units[number].silent = order["silent"]
            return None
        letter = TABLES[order["table"]]
        table = self.units[number].tables[letter]
        if what == "stuck":
            self.units[number].stuck.add((letter, order["address"]))
            return None
        if what == "set":
            for i, value in enumerate(order["values"]):
                table[order["address"] + i] = value
            return None
        if what == "get":
            return [int(table[order["address"] + i]) for i in range(order["count"])]
        raise ValueError(f"unknown order {what}")

    async def serve_control(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = {"ok": self.do(json.loads(line))}
            except Exception as error:  # a test must see its own mistakes
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write((json.dumps(answer) + "\n").encode())
            await writer.drain()
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--units", default="1", help="unit ids, separated by commas")
    options = parser.parse_args()

    device = Device([int(number) for number in options.units.split(",")])
    for order in json.loads(sys.stdin.read() or "[]"):
        device.do(order)
    device.server = ModbusTcpServer(
        device.context,
        framer=ModbusSocketFramer,
        address=("127.0.0.1", options.port),
        allow_reuse_address=True,
        ignore_missing_slaves=True,
    )
    serving = asyncio.ensure_future(device.server.serve_forever())
    await device.server.serving
    control = await asyncio.start_server(device.serve_control, "127.0.0.1", 0)
    print("listening 127.0.0.1:%d" % device.server.server.sockets[0].getsockname()[1])
    print("control 127.0.0.1:%d" % control.sockets[0].getsockname()[1])
    print("ready", flush=True)

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    serving.cancel()


asyncio.run(main())
