// The command lines of all programs, as a person, a linter and bash see them. What there is to test, the
// programs say themselves: verbs and options are read from their help.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { binaries, folder, repository, run } from './lib/index.js';

const PROGRAMS = ['twinbridge', 'twinctl', 'hubsim', 'modbussim'];
const OWN = ['--help', '--version', '--man', '--bash-completion'];

/** What a program prints when all is well: nothing else may happen. */
async function printed(t, program, args) {
  const { code, stdout, stderr } = await run(t, program, args);
  assert.deepEqual([code, stderr], [0, ''], `${program} ${args.join(' ')}`);
  return stdout;
}

/** The verbs in a program's help; [''] when it has none. */
function verbsOf(help) {
  const list = help.match(/^Verbs:\n((?: .*\n)+)/m);
  if (!list) return [''];
  return [...list[1].matchAll(/^ {2}([a-z]+(?: [a-z]+)?)(?= [^a-z ]| {2}|$)/gm)].map((match) => match[1]);
}

/** The options in a help: a map from name to what it takes. */
function optionsOf(help) {
  const rows = [...help.matchAll(/^ {2}(--[a-z-]+)(?: ([^ \n]+))?(?= {2}|$)/gm)];
  return new Map(rows.map(([, name, value]) => [name, value]));
}

/** { verb: its help }, and '' for the program's own. */
async function helpsOf(t, program) {
  const helps = { '': await printed(t, program, ['--help']) };
  for (const verb of verbsOf(helps['']).filter((name) => name !== ''))
    helps[verb] = await printed(t, program, [...verb.split(' '), '--help']);
  return helps;
}

const words = (verb) => verb.split(' ').filter((word) => word !== '');
const sorted = (list) => [...list].sort();
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** What bash offers for each line of `lines`, an array of words of which the last is being typed. */
async function completions(t, program, lines, { cwd, script } = {}) {
  const calls = lines.map((line) => [
    `COMP_WORDS=(${[program, ...line].map(quoted).join(' ')})`,
    'COMP_CWORD=$((${#COMP_WORDS[@]} - 1))',
    'COMPREPLY=(left over)',
    `_${program}`,
    'printf "%s\\n" "${COMPREPLY[@]}" ---',
  ].join('\n'));
  const source = script ?? await printed(t, program, ['--bash-completion']);
  const shell = ['set -u', source, ...calls].join('\n');
  const { code, stdout, stderr } = await run(t, '/bin/bash', ['--norc', '--noprofile', '-c', shell], { cwd });
  assert.deepEqual([code, stderr], [0, ''], program);
  const offered = stdout.split('---\n').slice(0, -1);
  assert.equal(offered.length, lines.length);
  return offered.map((text) => sorted(text.split('\n').filter((word) => word !== '')));
}

for (const program of PROGRAMS) {
  test(`${program}: every help is there and fits 80 columns`, async (t) => {
    const helps = await helpsOf(t, program);

    for (const [verb, help] of Object.entries(helps)) {
      const name = `${program} ${verb}`.trim();
      assert.ok(help.startsWith(`usage: ${name} `), name);
      for (const line of help.split('\n')) {
        assert.ok(line.length <= 80, `${name}: ${line}`);
        assert.match(line, /^[\x20-\x7e]*$/, name);
        assert.doesNotMatch(line, / $/, name);
      }
      for (const option of verb === '' ? OWN : ['--help'])
        assert.ok(optionsOf(help).has(option), `${name} ${option}`);
      if (verb !== '') assert.match(help, /^[A-Z].*\.$/m, `${name}: a sentence that says what it does`);
    }
    assert.match(helps[''], /^Exit status:\n {2}0 /m);
    assert.equal(await printed(t, program, ['--version']), `${program} ${await version()}\n`);
  });

  test(`${program}: wrong usage is said in one line that leads to the help`, async (t) => {
    const help = await printed(t, program, ['--help']);
    const wrong = verbsOf(help).map((verb) => [[...words(verb), '--no-such-option'], verb]);
    if (verbsOf(help)[0] !== '') wrong.push([['no-such-verb'], ''], [['--no-such-option'], '']);

    for (const [args, verb] of wrong) {
      const { code, stdout, stderr } = await run(t, program, args);
      const name = `${program} ${verb}`.trim();
      assert.deepEqual([code, stdout], [64, ''], `${name}: ${stderr}`);
      assert.match(stderr, new RegExp(`^${name}: .*no-such-.*; see ${name} --help\\n$`));
    }
    if (verbsOf(help)[0] === '') return;
    const bare = await run(t, program, []);
    assert.deepEqual([bare.code, bare.stdout, bare.stderr], [64, '', help]);
  });

  test(`${program}: the man page passes the linter and says all of the help`, async (t) => {
    const file = path.join(folder(t), `${program}.1`);
    const page = await printed(t, program, ['--man']);
    fs.writeFileSync(file, page);

    const lint = await run(t, '/usr/bin/mandoc', ['-T', 'lint', '-W', 'warning', file]);
    assert.deepEqual([lint.code, lint.stdout, lint.stderr], [0, '', '']);
    const groff = await run(t, '/usr/bin/groff', ['-man', '-ww', '-z', file]);
    assert.deepEqual([groff.code, groff.stderr], [0, '']);

    const helps = await helpsOf(t, program);
    const titles = [...page.matchAll(/^\.SH (.*)$/gm)].map((match) => match[1]);
    const parts = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'VERBS', 'OPTIONS', 'EXIT STATUS', 'EXAMPLES', 'SEE ALSO'];
    assert.deepEqual(titles.filter((title) => parts.includes(title)),
      parts.filter((title) => title !== 'VERBS' || !('' in helps && verbsOf(helps[''])[0] === '')));
    for (const verb of verbsOf(helps['']))
      assert.ok(verb === '' || page.match(new RegExp(`^\\.SS ${verb}( |$)`, 'm')), verb);
    const bold = (name) => `\\fB${name.replaceAll('-', '\\-')}\\fR`;
    for (const help of Object.values(helps))
      for (const option of optionsOf(help).keys()) assert.ok(page.includes(bold(option)), option);

    const shown = await printed(t, '/usr/bin/mandoc', ['-T', 'ascii', '-O', 'width=78', file]);
    for (const line of shown.replace(/.\x08/g, '').split('\n')) assert.ok(line.length <= 80, line);
  });

  test(`${program}: the man page and the completion are the same every time`, async (t) => {
    for (const option of ['--man', '--bash-completion']) {
      const first = await run(t, program, [option], { env: { LC_ALL: 'C', TZ: 'UTC' } });
      const other = await run(t, program, [option], { env: { LC_ALL: 'de_DE.UTF-8', TZ: 'Asia/Tokyo', COLUMNS: '40' } });
      assert.deepEqual(other, first);
    }
    const date = fs.readFileSync(path.join(repository, 'CMakeLists.txt'), 'utf8').match(/set\(TWINBRIDGE_DATE ([\d-]+)\)/)[1];
    assert.ok((await printed(t, program, ['--man'])).includes(`.TH ${program.toUpperCase()} 1 ${date} `));
  });

  test(`${program}: bash completes verbs, options and what they take`, async (t) => {
    const helps = await helpsOf(t, program);
    const verbs = verbsOf(helps['']);
    const script = await printed(t, program, ['--bash-completion']);
    const offer = async (...line) => (await completions(t, program, [line], { script }))[0];

    const lint = await run(t, '/usr/bin/shellcheck', ['-'], { input: script });
    assert.deepEqual([lint.code, lint.stdout], [0, '']);

    if (verbs[0] !== '') {
      const firsts = new Set(verbs.map((verb) => words(verb)[0]));
      assert.deepEqual(await offer(''), sorted(firsts));
      assert.deepEqual(await offer('-'), sorted(OWN));
      for (const first of firsts) {
        assert.ok((await offer(first.slice(0, -1))).includes(first), first);
        const seconds = verbs.filter((verb) => words(verb)[0] === first && words(verb).length > 1).map((verb) => words(verb)[1]);
        if (seconds.length > 0) assert.deepEqual(await offer(first, ''), sorted(seconds));
      }
    }
    for (const verb of verbs) {
      const options = optionsOf(helps[verb]);
      assert.deepEqual(await offer(...words(verb), '--'), sorted(options.keys()), verb);
      assert.deepEqual(await offer(...words(verb), 'x', '--json', '--'), sorted(options.keys()), verb);
      for (const [option, value] of options) {
        if (value === undefined || /FILE|FOLDER/.test(value)) continue;
        const choices = /^[^A-Z]+\|[^A-Z]+$/.test(value) ? sorted(value.split('|')) : [];
        assert.deepEqual(await offer(...words(verb), option, ''), choices, `${verb} ${option}`);
        assert.deepEqual(await offer(...words(verb), option, '='), choices, `${verb} ${option}=`);
        for (const choice of choices)
          assert.deepEqual(await offer(...words(verb), option, '=', choice), [choice]);
      }
    }
  });

  test(`${program}: bash completes files where files are taken, and nowhere else`, async (t) => {
    const cwd = folder(t);
    const helps = await helpsOf(t, program);
    const script = await printed(t, program, ['--bash-completion']);
    fs.writeFileSync(path.join(cwd, 'a mapping.json'), '');
    fs.mkdirSync(path.join(cwd, 'a folder'));
    const both = ['a folder', 'a mapping.json'];
    let taken = 0;

    for (const verb of verbsOf(helps[''])) {
      const options = [...optionsOf(helps[verb])];
      const files = options.filter(([, value]) => /FILE/.test(value ?? '')).map(([name]) => name);
      const folders = options.filter(([, value]) => /FOLDER/.test(value ?? '')).map(([name]) => name);
      const [, takes] = helps[verb].match(/^usage: (.*?)\[options\]/s);
      const lines = [
        ...files.flatMap((name) => [[name, ''], [name, '=', 'a m']]), ...folders.map((name) => [name, '']), [''], ['a'],
      ];
      const offered = await completions(t, program, lines.map((line) => [...words(verb), ...line]), { cwd, script });
      const wanted = [
        ...files.flatMap(() => [both, ['a mapping.json']]), ...folders.map(() => ['a folder']),
        ...(/(^| )\W*(FILE|PATCH)/.test(takes) && !/--\w+ FILE/.test(takes)
          ? [both, both] : [sorted(options.map(([name]) => name)), []]),
      ];
      assert.deepEqual(offered, wanted, verb);
      taken += offered.flat().filter((word) => both.includes(word)).length;
    }
    assert.ok(taken > 0, 'no program here is without files');
  });
}

/** The version that the build has. */
async function version() {
  return fs.readFileSync(path.join(repository, 'CMakeLists.txt'), 'utf8').match(/project\(twinbridge VERSION ([\d.]+)/)[1];
}

test('what is installed is in its place, and is what the programs print', async (t) => {
  const build = path.dirname(binaries);
  if (!fs.existsSync(path.join(build, 'cmake_install.cmake'))) return t.skip(`${build} is not built by cmake`);
  const prefix = path.join(folder(t), 'usr');

  const installed = await run(t, '/usr/bin/cmake', ['--install', build, '--prefix', prefix]);
  assert.equal(installed.code, 0, installed.stderr);

  for (const program of PROGRAMS) {
    const file = path.join(prefix, 'bin', program);
    fs.accessSync(file, fs.constants.X_OK);
    const page = fs.readFileSync(path.join(prefix, 'share/man/man1', `${program}.1`), 'utf8');
    const script = fs.readFileSync(path.join(prefix, 'share/bash-completion/completions', program), 'utf8');
    assert.equal(page, await printed(t, file, ['--man']));
    assert.equal(script, await printed(t, file, ['--bash-completion']));
  }
  assert.deepEqual(sorted(fs.readdirSync(path.join(prefix, 'bin'))), sorted(PROGRAMS), 'and nothing of the tests');
});
