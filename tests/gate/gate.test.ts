import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { copy, createTemplate, type Scratch } from './scratch.ts';

const events = 'proto/oo/events/v1/events.proto';
const serving = 'proto/oo/serving/v1/serving.proto';
const baseline = 'proto/baseline.binpb';
const generated = 'gen/proto/oo/events/v1/events_pb.ts';

// Every test starts a dozen processes, five tests at a time.
vi.setConfig({ testTimeout: 120_000 });

let template: Scratch;
beforeAll(() => {
  template = createTemplate();
});
afterAll(() => template[Symbol.dispose]());

type Edit = (repo: Scratch) => void;

/** Adds a field to ScoreResponse. */
function addField(field: string): Edit {
  const last = '  string tip_id = 1;\n';
  return (repo) => repo.edit(serving, last, `${last}  // Added.\n  ${field}\n`);
}

/** Releases whatever is there, without asking whether it may be. */
function forceRelease(repo: Scratch): void {
  repo.run('node_modules/.bin/buf', 'build', 'proto', '-o', baseline);
}

describe('a change on a branch', () => {
  const renamed: Edit = (repo) => repo.edit(events, 'string screen = 2', 'string place = 2');

  const rejected: [name: string, rules: string[], edit: Edit][] = [
    ['field renamed', ['FIELD_SAME_JSON_NAME', 'FIELD_SAME_NAME'], renamed],
    [
      'field deleted',
      ['FIELD_NO_DELETE'],
      (repo) => repo.edit(serving, '  // The tip chosen.\n  string tip_id = 1;\n', ''),
    ],
    ['field retyped', ['FIELD_SAME_TYPE'], (repo) => repo.edit(serving, 'string tip_id = 1', 'bytes tip_id = 1')],
    ['field renumbered', ['FIELD_NO_DELETE'], (repo) => repo.edit(serving, 'string tip_id = 1', 'string tip_id = 2')],
    [
      'field moved into a oneof',
      ['FIELD_SAME_CARDINALITY', 'FIELD_SAME_ONEOF'],
      (repo) =>
        repo.edit(
          serving,
          '  // The tip chosen.\n  string tip_id = 1;\n',
          '  // The choice.\n  oneof choice {\n    // The tip chosen.\n    string tip_id = 1;\n  }\n',
        ),
    ],
    [
      'enum value renamed',
      ['ENUM_VALUE_SAME_NAME'],
      (repo) => repo.edit(events, 'REACTION_DONE = 1', 'REACTION_FOLLOWED = 1'),
    ],
    ['file deleted', ['FILE_NO_DELETE'], (repo) => repo.remove(serving)],
    [
      'package changed',
      ['FILE_SAME_PACKAGE', 'PACKAGE_DIRECTORY_MATCH'],
      (repo) => repo.edit(serving, 'package oo.serving.v1', 'package oo.serving.v3'),
    ],
    [
      'contract file moved to where nothing is judged',
      ['OO_FILE_MOVED_OUT', 'OO_OPTION_CHANGED'],
      (repo) => {
        mkdirSync(join(repo.dir, 'third_party/grpc/oo/options/v1'), { recursive: true });
        repo.git('mv', 'proto/oo/options/v1/options.proto', 'third_party/grpc/oo/options/v1/options.proto');
      },
    ],
    ['syntax error', ['COMPILE'], (repo) => repo.edit(serving, 'message ScoreResponse {', 'message {')],
    ['comment missing', ['COMMENT_MESSAGE'], (repo) => repo.write(serving, `${repo.read(serving)}message Extra {}\n`)],

    [
      'breaking rules weakened, to rename a field',
      ['FIELD_SAME_JSON_NAME', 'FIELD_SAME_NAME', 'OO_CONFIG_WEAKENED'],
      (repo) => {
        repo.edit('buf.yaml', 'breaking:\n  use: [FILE]', 'breaking:\n  use: [WIRE]');
        renamed(repo);
      },
    ],
    [
      'breaking rules of the module ignore a file, to rename a field in it',
      ['FIELD_SAME_JSON_NAME', 'FIELD_SAME_NAME', 'OO_CONFIG_WEAKENED'],
      (repo) => {
        repo.edit('buf.yaml', '- path: proto\n', `- path: proto\n    breaking: { use: [FILE], ignore: [${events}] }\n`);
        renamed(repo);
      },
    ],
    [
      'files excluded from the module',
      ['FILE_NO_DELETE', 'OO_CONFIG_WEAKENED'],
      (repo) => repo.edit('buf.yaml', '- path: proto\n', '- path: proto\n    excludes: [proto/oo/serving]\n'),
    ],

    ['bound tightened', ['OO_RULE_TIGHTENED'], (repo) => repo.edit(events, 'max_len: 64', 'max_len: 8')],
    [
      'required field added',
      ['OO_RULE_TIGHTENED'],
      addField('optional double score = 2 [(buf.validate.field).required = true];'),
    ],

    [
      'meaning changed',
      ['OO_MEANING_CHANGED'],
      (repo) => repo.edit(events, '// Milliseconds between', '// Seconds between'),
    ],

    [
      'subject changed',
      ['OO_OPTION_CHANGED'],
      (repo) => repo.edit(events, '"signals.tip.served"', '"signals.tip.shown"'),
    ],
  ];
  it.concurrent.each(rejected)('is rejected: %s', async (_name, rules, edit) => {
    using repo = copy(template);
    edit(repo);
    repo.commit();
    // The steps after `base` say the same again: their own findings have their own tests below.
    const steps = rules.some((rule) => /^(PACKAGE|COMMENT)_/.test(rule)) ? 'lint,base' : 'config,base';
    const verdict = await repo.check(['--base', 'main', '--only', steps]);
    expect(verdict.rules.sort(), verdict.output).toEqual(rules);
    expect(verdict.exit).toBe(100);
    if (edit !== renamed) return;
    const message = 'Field "2" on message "TipServed" changed name from "screen" to "place".';
    expect(verdict.output).toContain(`     ${events}:45: ${message} [FIELD_SAME_NAME]\n`);
  });

  const accepted: [name: string, edit: Edit][] = [
    ['field added', addField('double score = 2;')],
    [
      'enum value added',
      (repo) =>
        repo.edit(
          events,
          '  REACTION_DISMISS = 2;\n',
          '  REACTION_DISMISS = 2;\n  // The tip comes back later.\n  REACTION_SNOOZE = 3;\n',
        ),
    ],
    ['message added', (repo) => repo.write(serving, `${repo.read(serving)}// One more.\nmessage Extra {}\n`)],
    ['bound loosened', (repo) => repo.edit(events, 'max_len: 64', 'max_len: 128')],
    [
      'comment extended and wrapped',
      (repo) =>
        repo.edit(
          events,
          '// Milliseconds between showing the tip and the reaction.',
          '// Milliseconds between showing the tip\n  // and the reaction. Absent: not measured.',
        ),
    ],
    [
      'subject accepted under another name',
      (repo) => repo.edit(events, '["signals.tip.feedback"]', '["signals.tip.feedback", "feedback.tip"]'),
    ],
    [
      'own rules made stricter',
      (repo) => repo.edit('buf.yaml', 'use: [STANDARD, COMMENTS', 'use: [STANDARD, UNARY_RPC, COMMENTS'),
    ],
    [
      'new version beside the old one, a number reserved in it',
      (repo) => {
        const v2 = repo
          .read(events)
          .replace('package oo.events.v1', 'package oo.events.v2')
          .replace(
            '  // Where it was shown.\n  string screen = 2 [',
            '  reserved 2;\n  reserved "screen";\n  // Where it was shown.\n  uint32 screen_id = 3; //',
          )
          .replaceAll('"signals.tip', '"v2.signals.tip')
          .replaceAll('"feedback.tip', '"v2.feedback.tip');
        repo.write('proto/oo/events/v2/events.proto', v2);
      },
    ],
    [
      'module added that the contract imports',
      (repo) => {
        repo.write('third_party/more/more.proto', 'syntax = "proto3";\npackage more;\nmessage More {}\n');
        repo.edit(
          'buf.yaml',
          '- path: proto\n',
          '- path: proto\n  - path: third_party/more\n    lint: { use: [MINIMAL], ignore: [third_party/more] }\n',
        );
        repo.edit(serving, 'import "google/', 'import "more.proto";\nimport "google/');
        addField('more.More more = 2;')(repo);
      },
    ],
    [
      'protos of others changed',
      (repo) => repo.edit('third_party/protovalidate/buf/validate/validate.proto', 'bool for_key = 4', 'bool key = 4'),
    ],
    [
      'field added and released',
      (repo) => {
        addField('double score = 2;')(repo);
        repo.run('scripts/release-contract.sh');
      },
    ],
  ];
  it.concurrent.each(accepted)('is accepted: %s', async (_name, edit) => {
    using repo = copy(template);
    edit(repo);
    repo.commit();
    const verdict = await repo.check(['--base', 'main', '--only', 'lint,config,base,release']);
    expect(verdict.exit, verdict.output).toBe(0);
  });

  it.concurrent('gives machines JSON alone', async () => {
    using repo = copy(template);
    renamed(repo);
    const { stdout } = await repo.check(['--json']);
    const findings = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(findings).toContainEqual({
      path: events,
      line: 45,
      rule: 'FIELD_SAME_NAME',
      message: 'Field "2" on message "TipServed" changed name from "screen" to "place".',
    });
  });

  it.concurrent('prints the line that acknowledges a better wording, and accepts it', async () => {
    using repo = copy(template);
    repo.edit(events, '// Milliseconds between', '// Time in ms between');
    const before = await repo.check();
    const line = /clarifications\.txt: (oo\.events\.v1\.TipFeedback\.dwell_ms [0-9a-f]{12}) <reason>/.exec(
      before.output,
    );
    repo.write('proto/clarifications.txt', `# Wording only.\n${line?.[1]} The same unit, shorter\n`);
    const after = await repo.check();
    expect([before.exit, after.exit], after.output).toEqual([100, 0]);
  });
});

describe('what a run compares with', () => {
  const rename: Edit = (repo) => repo.edit(serving, 'double completion_rate = 4', 'double done_rate = 4');
  const addScore = addField('double score = 2;');
  const renameAdded: Edit = (repo) => repo.edit(serving, 'double score = 2', 'double points = 2');

  it.concurrent('never main with itself, but with the commit before', async () => {
    using repo = copy(template);
    repo.git('switch', '--quiet', 'main');
    rename(repo);
    repo.commit();
    for (const args of [['--base', 'main'], ['--against', 'main'], []]) {
      const verdict = await repo.check(args);
      expect(verdict.exit, verdict.output).toBe(100);
      expect(verdict.rules).toContain('FIELD_SAME_NAME');
      expect(verdict.output).toContain('the commit before');
    }
  });

  it.concurrent('HEAD for uncommitted changes, also for a file that git does not know yet', async () => {
    using repo = copy(template);
    addScore(repo);
    repo.commit();
    renameAdded(repo);
    const edited = await repo.check();
    repo.git('checkout', '--quiet', serving);
    repo.write('proto/oo/serving/v1/more.proto', 'syntax = "proto3";\npackage oo.serving.v2;\n');
    const added = await repo.check();
    expect(edited.rules).toContain('FIELD_SAME_NAME');
    expect(added.output).toContain('for the uncommitted changes');
  });

  it.concurrent('all commits of a branch, from where it left main', async () => {
    using repo = copy(template);
    repo.git('switch', '--quiet', 'main');
    addScore(repo);
    repo.commit();
    repo.git('switch', '--quiet', 'change');
    rename(repo);
    repo.commit();
    repo.write('README.md', 'More.\n');
    repo.commit();
    // Not with main's tip, which has a field that the branch lacks.
    const branch = await repo.check(['--base', 'main']);
    expect(branch.rules.sort()).toEqual(['FIELD_SAME_JSON_NAME', 'FIELD_SAME_NAME']);
    expect((await repo.check()).exit).toBe(0);
  });

  it.concurrent('the target branch that CI names, known to the clone as a remote one only', async () => {
    using repo = copy(template);
    rename(repo);
    repo.commit();
    repo.git('update-ref', 'refs/remotes/origin/main', 'main');
    repo.git('switch', '--quiet', '--detach');
    repo.git('branch', '--quiet', '--delete', '--force', 'main', 'change');
    const verdict = await repo.check([], { GITHUB_BASE_REF: 'main' });
    expect(verdict.output).toContain('merge base');
    expect(verdict.rules).toContain('FIELD_SAME_NAME');
  });

  it.concurrent('exactly the commit before a push; none is named when the branch is new', async () => {
    using repo = copy(template);
    const before = repo.git('rev-parse', 'HEAD');
    rename(repo);
    repo.commit();
    repo.write('README.md', 'More.\n');
    repo.commit();
    const pushed = await repo.check(['--against', before]);
    const created = await repo.check(['--against', '0'.repeat(40)]);
    expect([pushed.exit, created.exit]).toEqual([100, 0]);
    expect(created.output).toContain('the commit before');
  });

  it.concurrent('the last release, also commits after it was broken', async () => {
    using repo = copy(template);
    rename(repo);
    repo.commit();
    repo.write('README.md', 'More.\n');
    repo.commit();
    const verdict = await repo.check(['--only', 'base,baseline']);
    expect(verdict.output).toContain('ok   nothing broken since the commit before');
    expect(verdict.exit).toBe(100);
  });

  it.concurrent('the base commit for what is not released yet; its wording is still free', async () => {
    using repo = copy(template);
    repo.write(
      'proto/oo/admin/v1/admin.proto',
      'syntax = "proto3";\npackage oo.admin.v1;\n// One.\nmessage Admin {}\n',
    );
    repo.commit();
    repo.edit('proto/oo/admin/v1/admin.proto', '// One.', '// Two.');
    const reworded = await repo.check();
    repo.remove('proto/oo/admin/v1/admin.proto');
    const deleted = await repo.check();
    expect([reworded.exit, deleted.exit], reworded.output).toEqual([0, 100]);
    expect(deleted.rules).toEqual(['FILE_NO_DELETE']);
  });

  it.concurrent('nothing, where the base commit verifiably has no contract', async () => {
    using repo = copy(template);
    const verdict = await repo.check(['--against', 'main~1']);
    expect(verdict.exit, verdict.output).toBe(0);
    expect(verdict.output).toContain('nothing to compare with: no proto/');
  });

  it.concurrent('nothing, in the first commit of all', async () => {
    using repo = copy(template);
    repo.git('switch', '--quiet', '--orphan', 'other');
    repo.git('restore', '--source=main', '--', '.');
    repo.commit();
    const verdict = await repo.check();
    expect(verdict.exit, verdict.output).toBe(0);
    expect(verdict.output).toContain('nothing to compare with: this is the first commit');
  });

  it.concurrent('a base commit without buf.yaml, by the rules of the present one', async () => {
    using repo = copy(template);
    repo.git('rm', '--quiet', '--cached', '-r', 'buf.yaml', 'third_party');
    repo.git('commit', '--quiet', '--message=Before the gate');
    repo.commit();
    expect((await repo.check()).exit).toBe(0);
    rename(repo);
    repo.git('add', '--all');
    repo.git('commit', '--quiet', '--amend', '--no-edit');
    expect((await repo.check()).rules).toContain('FIELD_SAME_NAME');
  });
});

describe('a check that cannot run never passes', () => {
  const cases: [name: string, says: string, edit: Edit, args?: string[]][] = [
    ['missing branch', 'no such-branch here', () => {}, ['--base', 'such-branch']],
    ['missing commit', 'no commit', () => {}, ['--against', '1'.repeat(40)]],
    [
      'no common history',
      'no common history',
      (repo) => {
        repo.git('switch', '--quiet', '--orphan', 'other');
        repo.git('commit', '--quiet', '--allow-empty', '--message=Other');
        repo.git('switch', '--quiet', 'change');
      },
      ['--base', 'other'],
    ],
    [
      'shallow clone',
      'shallow',
      (repo) => {
        repo.git('clone', '--quiet', '--depth=1', `file://${repo.dir}`, 'clone');
        repo.remove('.git');
        renameSync(join(repo.dir, 'clone/.git'), join(repo.dir, '.git'));
      },
    ],
    [
      'damaged repository',
      'the commit before HEAD is not here',
      (repo) => repo.remove(`.git/objects/${repo.git('rev-parse', 'HEAD~1').replace(/^../, '$&/')}`),
    ],
    ['no repository', 'no git repository', (repo) => repo.remove('.git')],
    [
      'no baseline, now or before',
      'there is no proto/baseline.binpb',
      (repo) => {
        repo.remove(baseline);
        repo.commit();
        repo.git('commit', '--quiet', '--allow-empty', '--message=Again');
      },
      ['--only', 'base,baseline,release'],
    ],
    ['no baseline to look at', 'there is no', (repo) => repo.remove(baseline), ['--only', 'baseline']],
    ['baseline that is no image', 'could not run', (repo) => repo.write(baseline, 'x'), ['--only', 'baseline']],
    [
      'baseline without comments',
      'no source info',
      (repo) => repo.run('node_modules/.bin/buf', 'build', 'proto', '--exclude-source-info', '-o', baseline),
      ['--only', 'baseline'],
    ],
    [
      'base commit that does not compile',
      'could not run',
      (repo) => {
        const text = repo.read(serving);
        repo.write(serving, 'syntax');
        repo.commit();
        repo.write(serving, text);
      },
    ],
    [
      'acknowledgement without a reason',
      'clarifications.txt:1',
      (repo) => {
        repo.write('proto/clarifications.txt', 'oo.events.v1.TipFeedback.dwell_ms 0123456789ab\n');
        repo.edit(events, '// Milliseconds between', '// Seconds between');
      },
    ],
    ['step that does not exist', 'no step', () => {}, ['--only', 'base,baselin']],
  ];
  it.concurrent.each(cases)('%s', async (_name, says, edit, args = []) => {
    using repo = copy(template);
    edit(repo);
    const verdict = await repo.check(args);
    expect(verdict.exit, verdict.output).toBe(1);
    expect(verdict.output).toContain(says);
  });

  it.concurrent('git is missing', async () => {
    using repo = copy(template);
    mkdirSync(join(repo.dir, 'bin'));
    for (const name of ['bash', 'dirname', 'mktemp', 'rm']) {
      symlinkSync(repo.run('bash', '-c', `command -v ${name}`).trim(), join(repo.dir, 'bin', name));
    }
    const verdict = await repo.check([], { PATH: join(repo.dir, 'bin') });
    expect(verdict.exit, verdict.output).toBe(1);
    expect(verdict.output).toContain('git is not installed');
  });
});

describe('generated code', () => {
  it.concurrent('is rejected where it is not what buf generates, and left as it is', async () => {
    using repo = copy(template);
    const fresh = await repo.check(['--only', 'generated']);
    repo.edit(generated, 'dwellMs', 'dwellSeconds');
    repo.write('gen/proto/oo/events/v1/extra_pb.ts', '');
    repo.remove('gen/proto/oo/serving/v1/serving_pb.ts');
    const status = repo.git('status', '--porcelain');
    const stale = await repo.check(['--only', 'generated']);
    expect([fresh.exit, stale.exit], fresh.output).toEqual([0, 100]);
    expect(stale.rules).toEqual(['OO_GENERATED_STALE']);
    for (const path of [generated, 'gen/proto/oo/events/v1/extra_pb.ts', 'gen/proto/oo/serving/v1/serving_pb.ts']) {
      expect(stale.output).toContain(path);
    }
    expect(repo.git('status', '--porcelain')).toBe(status);
  });

  it.concurrent('is rejected where it is missing altogether', async () => {
    using repo = copy(template);
    repo.remove('gen');
    expect(await repo.check(['--only', 'generated'])).toMatchObject({ exit: 100, rules: ['OO_GENERATED_STALE'] });
  });
});

describe('a release', () => {
  const rejected: [name: string, rules: string[], edit: Edit][] = [
    ['baseline deleted', ['OO_BASELINE_SHRUNK'], (repo) => repo.remove(baseline)],
    [
      'baseline without a file that was released',
      ['FILE_NO_DELETE'],
      (repo) => {
        const text = repo.read(serving);
        repo.remove(serving);
        forceRelease(repo);
        repo.write(serving, text);
      },
    ],
    [
      'baseline released anew to hide a rename',
      ['FIELD_SAME_JSON_NAME', 'FIELD_SAME_NAME'],
      (repo) => {
        repo.edit(events, 'string screen = 2', 'string place = 2');
        forceRelease(repo);
      },
    ],
  ];
  it.concurrent.each(rejected)('is rejected: %s', async (_name, rules, edit) => {
    using repo = copy(template);
    edit(repo);
    repo.commit();
    const verdict = await repo.check(['--base', 'main', '--only', 'baseline,release']);
    expect(verdict.rules.sort(), verdict.output).toEqual(rules);
    expect(verdict.output).toContain('     proto/baseline.binpb:1: ');
    expect(verdict.exit).toBe(100);
  });

  it.concurrent('is refused if it breaks the one before', async () => {
    using repo = copy(template);
    repo.edit(events, 'max_len: 64', 'max_len: 8');
    expect(() => repo.run('scripts/release-contract.sh')).toThrow();
    expect(repo.git('status', '--porcelain', '--', baseline)).toBe('');
  });
});
