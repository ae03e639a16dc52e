// deploy/demo as a stranger meets it: it comes up, its three commands do what they say, and it goes.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { Program, binaries, environment, folder, repository, until } from './lib/index.js';

const shell = promisify(execFile);

/** Runs a printed command as if it were pasted into another terminal. */
async function paste(command) {
  const { stdout } = await shell('bash', ['-c', command], { cwd: '/', env: environment() });
  return stdout;
}

/** Starts the demo on the programs of the tests; resolves when it says that it runs. */
async function demo(t, dir) {
  const program = new Program(t, path.join(repository, 'deploy/demo'), ['--folder', dir, '--binaries', binaries]);
  await program.line(/Ctrl-C ends all of it/, 60000);
  return program;
}

/** The process ids of the programs that the demo started. */
async function children(program) {
  const { stdout } = await shell('ps', ['-o', 'pid=,comm=', '--ppid', String(program.pid)]);
  return Object.fromEntries(stdout.trim().split('\n').map((line) => line.trim().split(/\s+/).reverse()));
}

const alive = (pid) => fs.existsSync(`/proc/${pid}`) &&
  !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));

test('it comes up, its three commands do what they say, Ctrl-C ends all of it, and it comes up again', async (t) => {
  const dir = path.join(folder(t), 'a demo'); // a path with a blank is a path
  const program = await demo(t, dir);
  const [get, update, register, ...more] = program.stdout.split('\n')
    .filter((line) => /^ {2}\S/.test(line)).map((line) => line.trim());
  assert.equal(more.length, 0);

  assert.match(await paste(get), /^ {2}setpoint +- +21 /m);
  assert.equal(await paste(register), '21\n');
  assert.match(await paste(update), /twin updated, desired version 2/);
  await until(async () => (await paste(register)) === '28\n', { what: 'the register to follow', timeout: 5000 });
  await until(async () => /^ {2}setpoint +28 .* 28 .* ok$/m.test(await paste(get)),
    { what: 'the acknowledgement in the twin', timeout: 5000 });

  const page = await fetch(program.stdout.match(/Status page: +(\S+)/)[1]);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type'), /text\/html/);
  for (const secret of ['credentials/heating', 'hub-connection-string', 'hubsim.log', 'demo.json'])
    assert.equal(fs.statSync(path.join(dir, secret)).mode & 0o077, 0, `${secret} is for its owner only`);

  const pids = await children(program);
  assert.deepEqual(Object.keys(pids).sort(), ['hubsim', 'modbussim', 'twinbridge']);
  program.signal('SIGINT');
  assert.deepEqual(await program.ended(), { code: 0, signal: null });
  for (const [name, pid] of Object.entries(pids)) assert.ok(!alive(pid), `${name} has ended`);
  await assert.rejects(paste(register), /the demo does not run/);

  const second = await demo(t, dir);
  assert.match(await paste(get), /^. setpoint +28 /m, 'the twin is still there');
  await second.stop();
});

test('a program that dies is named with its last lines, and the rest ends with it', async (t) => {
  const dir = folder(t);
  const program = await demo(t, dir);
  const pids = await children(program);

  process.kill(Number(pids.hubsim), 'SIGKILL');

  assert.equal((await program.ended()).code, 70);
  assert.match(program.stderr, /demo: hubsim ended by itself \(exit code 137\)/);
  assert.match(program.stderr, /ready https:\/\/localhost:/);
  assert.doesNotMatch(program.stderr, /SharedAccessKey=[^.]/);
  for (const [name, pid] of Object.entries(pids)) assert.ok(!alive(pid), `${name} has ended`);
});

test('a demo that is killed takes its programs with it, and one at a time is enough', async (t) => {
  const dir = folder(t);
  const program = await demo(t, dir);
  const pids = await children(program);

  const other = new Program(t, path.join(repository, 'deploy/demo'), ['--folder', dir, '--binaries', binaries]);
  assert.equal((await other.ended()).code, 75);
  assert.match(other.stderr, /running already/);

  await program.kill();
  await until(() => Object.values(pids).every((pid) => !alive(pid)), { what: 'its programs to end' });
});
