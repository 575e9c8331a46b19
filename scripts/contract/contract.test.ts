import { expect, it } from 'vitest';
import { readContract } from './contract.ts';
import { buildSample, sample } from './testing.ts';

const events = 'oo/events/v1/events.proto';

const nested = `// Outer.
message Outer {
  // Inner.
  message Inner {
    // A.
    string a = 1; // In ms.
  }
  // Choice.
  enum Choice {
    // None.
    CHOICE_UNSPECIFIED = 0;
  }
  // By name.
  map<string, Inner> inner_by_name = 1;
}
`;

it('finds every element with its comment, also nested ones, and no map entries', () => {
  const contract = sample([[events, '// A tip was shown.\nmessage', `${nested}\n// A tip was shown.\nmessage`]]);
  const found = [...contract.elements.values()].filter(({ name }) => name.startsWith('oo.events.v1.Outer'));
  expect(Object.fromEntries(found.map(({ key, comment }) => [key, comment]))).toEqual({
    'message oo.events.v1.Outer': 'Outer.',
    'field oo.events.v1.Outer 1': 'By name.',
    'message oo.events.v1.Outer.Inner': 'Inner.',
    'field oo.events.v1.Outer.Inner 1': 'A. In ms.',
    'enum oo.events.v1.Outer.Choice': 'Choice.',
    'value oo.events.v1.Outer.Choice 0': 'None.',
  });
});

it('knows calls, options and places', () => {
  const { elements, files, packages } = sample();
  expect(elements.get('rpc oo.serving.v1.ServingService.Score')).toMatchObject({
    comment: 'Ranks the candidates.',
    path: 'oo/serving/v1/serving.proto',
    line: 12,
  });
  expect(elements.get('extension oo.options.v1.subject')?.comment).toMatch(/^The subject of an event payload/);
  expect([...files].sort()).toEqual([events, 'oo/options/v1/options.proto', 'oo/serving/v1/serving.proto']);
  expect([...packages].sort()).toEqual(['oo.events.v1', 'oo.options.v1', 'oo.serving.v1']);
});

it('reads an empty image as an empty contract', () => {
  expect(readContract(new Uint8Array()).elements.size).toBe(0);
});

it('refuses an image without comments', () => {
  expect(() => readContract(buildSample([], ['--exclude-source-info']))).toThrow('no source info');
});
