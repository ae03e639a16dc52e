// A wrong mapping file: every mistake is listed with its place, by check and by run, and nothing is started.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { folder, repository, run } from './lib/index.js';

const GOOD = `{
  "hub": { "host_name": "contoso.azure-devices.net", "device_id": "gateway-01" },
  "connections": { "plant": { "transport": "tcp", "host": "plc.example" } },
  "devices": {
    "boiler-7": { "connection": "plant", "unit_id": 7, "tags": {
      "temperature": { "table": "input", "address": 0, "type": "float32" }
    } }
  }
}
`;

const BAD = `{
  "hub": {
    "host_name": "https://contoso.azure-devices.net/",
    "device_id": "gateway-01",
    "shared_access_key": "c2VjcmV0"
  },
  "status": { "listen": "8080" },
  "conections": {},
  "connections": {
    "plant": { "transport": "tpc", "host": "plc.example" },
    "annex": { "transport": "tcp", "host": "192.0.2.7:502", "response_timeout": 500 },
    "third": { "transport": "tcp", "ip": "192.0.2.7" }
  },
  "templates": {
    "boiler": {
      "poll_interval": "1",
      "tags": {
        "temperature": { "table": "input", "address": 0, "type": "flaot32" },
        "setpoint": { "address": "40101", "type": "int16", "access": "rw", "min": 35, "max": 5 },
        "pump": { "table": "coil", "address": "40004" },
        "alarm": { "table": "holding", "address": 70000, "bit": 16 }
      }
    }
  },
  "devices": {
    "boiler-7": { "connection": "plants", "slave_id": 1, "template": "boiler" },
    "boiler-7": { "connection": "annex", "unit_id": 256, "template": "boilers" },
    "boiler 8": { "connection": "annex", "unit_id": 8, "template": "boiler" }
  },
  "modules": {
    "heating": { "devices": ["boiler-7", "boiler-9"] }
  }
}
`;

// Where the mistake stands (the text there, from which its line and column are counted, and which of several
// such texts), its path, and what must be said about it: what is wrong, and what to write.
const MISTAKES = [
  ['"https://', 0, 'hub.host_name', /without https:.*write "contoso\.azure-devices\.net"/],
  ['"shared_access_key"', 0, 'hub.shared_access_key', /a secret must not stand in the mapping file: .*credentials/],
  ['"8080"', 0, 'status.listen', /write "127\.0\.0\.1:8080"/],
  ['"conections"', 0, 'conections', /unknown key, did you mean "connections"\?/],
  ['"tpc"', 0, 'connections.plant.transport', /there is no transport "tpc".*"tcp"/],
  ['"192.0.2.7:502"', 0, 'connections.annex.host', /the port is a key of its own: write "192\.0\.2\.7"/],
  ['500 }', 0, 'connections.annex.response_timeout', /500 without a unit, write "500ms"/],
  ['"third"', 0, 'connections.third', /"host" is missing/],
  ['"ip"', 0, 'connections.third.ip', /unknown key, write "host"/],
  ['"1"', 0, 'templates.boiler.poll_interval', /write a whole number with its unit/],
  ['"flaot32"', 0, 'templates.boiler.tags.temperature.type', /is "flaot32", .*"float32"/],
  ['5 },\n        "pump"', 0, 'templates.boiler.tags.setpoint.max', /"min" 35 is above "max" 5/],
  ['"coil"', 0, 'templates.boiler.tags.pump.table', /the address is one of table holding/],
  ['70000', 0, 'templates.boiler.tags.alarm.address', /from 0 to 65535/],
  ['16 }', 0, 'templates.boiler.tags.alarm.bit', /from 0 to 15/],
  ['"plants"', 0, 'devices.boiler-7.connection', /there is no connection "plants", did you mean "plant"\?/],
  ['"slave_id"', 0, 'devices.boiler-7.slave_id', /unknown key, write "unit_id"/],
  ['"boiler-7"', 1, 'devices.boiler-7', /stands here again, the first is at 26:5/],
  ['256', 0, 'devices.boiler-7.unit_id', /256 is no unit id, write 0 to 255/],
  ['"boilers"', 0, 'devices.boiler-7.template', /there is no template "boilers", did you mean "boiler"\?/],
  ['"boiler 8"', 0, 'devices["boiler 8"]', /write "boiler-8"/],
  ['"boiler-9"', 0, 'modules.heating.devices[1]', /there is no device "boiler-9", did you mean "boiler-7"\?/],
];

/** Line and column of the `which`-th place where `needle` stands in BAD, both from 1. */
function placeOf(needle, which) {
  let at = BAD.indexOf(needle);
  for (let i = 0; i < which; i++) at = BAD.indexOf(needle, at + 1);
  assert.ok(at >= 0, needle);
  const before = BAD.slice(0, at).split('\n');
  return [before.length, before.at(-1).length + 1];
}

function mappingFile(t, text) {
  const file = path.join(folder(t), 'mapping.json');
  fs.writeFileSync(file, text);
  return file;
}

test('check lists every mistake with its line, column, path and remedy, and exits with 78', async (t) => {
  const file = mappingFile(t, BAD);

  const { code, stdout, stderr } = await run(t, 'twinbridge', ['check', file]);

  assert.equal(code, 78, stderr);
  assert.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  for (const [needle, which, at, said] of MISTAKES) {
    const start = `${file}:${placeOf(needle, which).join(':')}: ${at}: `;
    assert.ok(lines.some((line) => line.startsWith(start) && said.test(line)), `${start}${said}\n${stderr}`);
  }
  assert.ok(!stderr.includes('c2VjcmV0'), 'a secret is not repeated');
  const mistakes = lines.filter((line) => line.startsWith(`${file}:`) && !line.includes(': warning: '));
  assert.equal(mistakes.length - 1, MISTAKES.length, `nothing that is right is complained about\n${stderr}`);
  assert.match(lines.at(-1), new RegExp(`: ${MISTAKES.length} mistakes, \\d+ warnings?$`));
  const places = mistakes.slice(0, -1).map((line) => line.slice(file.length + 1).split(':', 2).map(Number));
  assert.deepEqual(places, [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1]), 'in the order of the file');
});

test('run says the same about it, exits with 78 and starts nothing', async (t) => {
  const file = mappingFile(t, BAD);

  const checked = await run(t, 'twinbridge', ['check', file]);
  const started = await run(t, 'twinbridge', ['run', file]);

  assert.equal(started.code, 78, started.stderr);
  assert.equal(started.stdout, '');
  assert.deepEqual(started.stderr.trimEnd().split('\n'), checked.stderr.trimEnd().split('\n').slice(0, -1));
  assert.deepEqual(fs.readdirSync(path.dirname(file)), ['mapping.json']);
});

test('check --json gives scripts the same mistakes', async (t) => {
  const file = mappingFile(t, BAD);

  const text = await run(t, 'twinbridge', ['check', file]);
  const json = await run(t, 'twinbridge', ['check', '--json', file]);

  assert.deepEqual([json.code, json.stderr], [78, '']);
  const list = JSON.parse(json.stdout);
  assert.deepEqual(list.map((entry) => {
    const warning = entry.severity === 'warning' ? 'warning: ' : '';
    return `${entry.file}:${entry.line}:${entry.column}: ${warning}${entry.path}: ${entry.message}`;
  }), text.stderr.trimEnd().split('\n').slice(0, -1));
  assert.equal(list.filter((entry) => entry.severity === 'error').length, MISTAKES.length);
});

test('a text that is no JSON is told where it goes wrong', async (t) => {
  const cases = [
    [GOOD.replace('"unit_id": 7,', '"unit_id": 7'), /:5:55: /],
    [GOOD.slice(0, GOOD.indexOf('"float32"')), /:6:64: /],
    ['', /:1:1: the file is empty/],
    ['[]', /:1:1: a mapping file is an object/],
  ];
  for (const [text, said] of cases) {
    const file = mappingFile(t, text);
    for (const verb of ['check', 'run']) {
      const { code, stderr } = await run(t, 'twinbridge', [verb, file]);
      assert.equal(code, 78, stderr);
      assert.ok(stderr.startsWith(file), stderr);
      assert.match(stderr, said);
    }
  }
});

test('a good file is summed up and exits with 0; a warning counts with --strict only', async (t) => {
  const good = mappingFile(t, GOOD);
  const summed = await run(t, 'twinbridge', ['check', good]);
  assert.deepEqual([summed.code, summed.stderr, summed.stdout],
    [0, '', `${good}: 1 connection, 1 device, 1 tag, 1 module: no mistakes\n`]);
  const json = await run(t, 'twinbridge', ['check', good, '--json']);
  assert.deepEqual([json.code, JSON.parse(json.stdout)], [0, []]);
  assert.equal((await run(t, 'twinbridge', ['check', '--strict', good])).code, 0);

  const warned = mappingFile(t, GOOD.replace('} },\n  "devices"',
    '},\n    "annex": { "transport": "tcp", "host": "b.example" } },\n  "devices"'));
  const lenient = await run(t, 'twinbridge', ['check', warned]);
  assert.equal(lenient.code, 0, lenient.stderr);
  assert.equal(lenient.stderr, `${warned}:4:5: warning: connections.annex: no device uses this connection\n`);
  assert.match(lenient.stdout, /: 2 connections, .*: no mistakes, 1 warning\n$/);
  assert.equal((await run(t, 'twinbridge', ['check', '--strict', warned])).code, 78);
});

test('the examples have no mistakes', async (t) => {
  const examples = path.join(repository, 'config/examples');
  const files = fs.readdirSync(examples).filter((name) => name.endsWith('.json'));
  assert.ok(files.includes('demo.json'));
  for (const name of files) {
    const { code, stderr } = await run(t, 'twinbridge', ['check', '--strict', path.join(examples, name)]);
    assert.deepEqual([code, stderr], [0, ''], name);
  }
});

test('a file that is not there, a folder and wrong arguments are said in a line', async (t) => {
  const dir = folder(t);
  const absent = path.join(dir, 'absent.json');
  const cases = [
    [['check', absent], 66, /absent\.json: cannot read: No such file or directory\n/],
    [['run', absent], 66, /absent\.json: cannot read: No such file or directory\n/],
    [['check', dir], 78, /is a folder, name the mapping file itself\n/],
    [['run', dir], 78, /is a folder, name the mapping file itself\n/],
    [['check'], 64, /^twinbridge check: FILE is missing: twinbridge check FILE; see twinbridge check --help\n$/],
    [['run'], 64, /^twinbridge run: FILE is missing: twinbridge run FILE; see twinbridge run --help\n$/],
    [['check', 'a', 'b'], 64, /^twinbridge check: 'b' is one argument too many: .*\n$/],
    [['run', 'a', 'b'], 64, /^twinbridge run: 'b' is one argument too many: .*\n$/],
    [['check', '--loud', 'a'], 64, /^twinbridge check: there is no option '--loud'; .*\n$/],
    [['run', '--loud', 'a'], 64, /^twinbridge run: there is no option '--loud'; .*\n$/],
    [['run', '--strict', 'a'], 64, /^twinbridge run: there is no option '--strict' here, 'check' has it; .*\n$/],
    [['run', '--log-level', 'loud', 'a'], 64, /^twinbridge run: --log-level is error, warn, info or debug, not 'loud'; .*\n$/],
    [['chek', 'a'], 64, /^twinbridge: there is no verb 'chek' \(did you mean 'check'\?\); see twinbridge --help\n$/],
  ];
  for (const [args, expected, said] of cases) {
    const { code, stdout, stderr } = await run(t, 'twinbridge', args);
    assert.deepEqual([code, stdout], [expected, ''], `${args}: ${stderr}`);
    assert.match(stderr, said);
  }
  const json = await run(t, 'twinbridge', ['check', '--json', absent]);
  assert.equal(json.code, 66);
  assert.deepEqual(JSON.parse(json.stdout), [{ file: absent, line: null, column: null, path: '', severity: 'error',
    message: 'cannot read: No such file or directory' }]);
  for (const args of [['--help'], ['check', '--help'], ['run', '--help']]) {
    const { code, stdout, stderr } = await run(t, 'twinbridge', args);
    assert.deepEqual([code, stderr, stdout.includes('usage: twinbridge ')], [0, '', true], `${args}`);
  }
});
