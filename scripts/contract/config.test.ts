import { describe, expect, it } from 'vitest';
import { breakingConfigForImages, type Config, weakenings } from './config.ts';

const yaml = `version: v2
modules:
  - path: proto
  - path: third_party/grpc
    lint: { use: [STANDARD], ignore: [third_party/grpc] }
lint:
  use: [STANDARD]
  disallow_comment_ignores: true
breaking:
  use: [FILE]
`;
const before: Config = { yaml, lint: ['L1', 'L2'], breaking: ['B1', 'B2'] };

function changed(from: string, to: string, rules: Partial<Config> = {}): Config {
  if (!yaml.includes(from)) throw new Error(`no "${from}"`);
  return { ...before, ...rules, yaml: yaml.replace(from, to) };
}

describe('weakenings', () => {
  const weaker: [name: string, after: Config | undefined, says: string][] = [
    ['file gone', undefined, 'buf.yaml is gone'],
    ['module gone', changed('path: proto', 'path: protocol'), 'module proto is gone'],
    ['lint rule lost', { ...before, lint: ['L1'] }, 'lint no longer applies L2'],
    ['breaking rule lost', { ...before, breaking: ['B2'] }, 'breaking no longer applies B1'],
    ['file ignored', changed('[FILE]', '[FILE]\n  ignore: [proto/a.proto]'), 'breaking.ignore'],
    [
      'file ignored for one rule',
      changed('[FILE]', '[FILE]\n  ignore_only: { B1: [proto/a] }'),
      'breaking.ignore_only',
    ],
    ['unstable packages ignored', changed('[FILE]', '[FILE]\n  ignore_unstable_packages: true'), 'ignore_unstable'],
    ['comments may silence lint', changed('ignores: true', 'ignores: false'), 'lint.disallow_comment_ignores'],
    [
      'comments may silence lint by default',
      changed('  disallow_comment_ignores: true\n', ''),
      'lint.disallow_comment',
    ],
    ['other suffix', changed('[STANDARD]\n', '[STANDARD]\n  service_suffix: API\n'), 'lint.service_suffix'],
    ['files excluded', changed('path: proto\n', 'path: proto\n    excludes: [proto/a]\n'), 'modules.excludes'],
    ['files picked', changed('path: proto\n', 'path: proto\n    includes: [proto/a]\n'), 'modules.includes'],
    [
      'own section for the module',
      changed('path: proto\n', 'path: proto\n    lint: { use: [STANDARD] }\n'),
      'lint.disallow_comment_ignores',
    ],
  ];
  it.each(weaker)('finds: %s', (_name, after, says) => {
    const found = weakenings(before, after);
    expect(found.map(({ rule }) => rule)).toEqual(['OO_CONFIG_WEAKENED']);
    expect(found[0]?.message).toContain(says);
  });

  const fine: [name: string, after: Config][] = [
    ['nothing changed', before],
    ['rules added', { ...before, lint: ['L1', 'L2', 'L3'] }],
    ['module added', changed('path: proto\n', 'path: proto\n  - path: third_party/more\n')],
    [
      'what is not ours ignored',
      changed('[third_party/grpc] }', '[third_party/grpc] }\n    breaking: { ignore: [x] }'),
    ],
    ['written otherwise', changed('[FILE]', '\n    - FILE # the strictest')],
  ];
  it.each(fine)('finds nothing: %s', (_name, after) => {
    expect(weakenings(before, after)).toEqual([]);
  });

  it('lets exceptions be taken back', () => {
    const after = changed('[FILE]', '[FILE]\n  ignore: [proto/a.proto]');
    expect(weakenings(after, before)).toEqual([]);
  });

  it('names the line', () => {
    expect(weakenings(before, { ...before, breaking: [] })[0]).toMatchObject({ path: 'buf.yaml', line: 9 });
  });
});

describe('breakingConfigForImages', () => {
  it('takes the section that applies to proto, with paths as in an image', () => {
    const own = changed('path: proto\n', 'path: proto\n    breaking: { use: [WIRE], ignore: [proto/oo/a.proto] }\n');
    expect(JSON.parse(breakingConfigForImages(yaml))).toEqual({ version: 'v2', breaking: { use: ['FILE'] } });
    expect(JSON.parse(breakingConfigForImages(own.yaml)).breaking).toEqual({ use: ['WIRE'], ignore: ['oo/a.proto'] });
  });

  it('shortens paths of single rules too', () => {
    const { yaml: own } = changed('[FILE]', '[FILE]\n  ignore_only: { B1: [proto/oo/a] }');
    expect(JSON.parse(breakingConfigForImages(own)).breaking.ignore_only).toEqual({ B1: ['oo/a'] });
  });
});
