import { describe, expect, it } from 'vitest';
import { formatFinding, parseFinding } from './finding.ts';

describe('parseFinding', () => {
  it("reads buf's findings and ours", () => {
    const buf = '{"path":"proto/a.proto","start_line":3,"start_column":1,"type":"FIELD_NO_DELETE","message":"gone"}';
    const own = '{"path":"proto/a.proto","line":3,"rule":"FIELD_NO_DELETE","message":"gone"}';
    expect(parseFinding(buf)).toEqual(JSON.parse(own));
    expect(parseFinding(own)).toEqual(JSON.parse(own));
  });

  it('does without a path, which buf leaves out for deleted files', () => {
    expect(parseFinding('{"start_line":1,"type":"FILE_NO_DELETE","message":"gone"}')).toMatchObject({
      path: '',
      line: 1,
    });
  });

  it.each(['Failure: no such module', '{"type":"X"}', 'null', '[]', '3'])('takes nothing else for one: %s', (line) => {
    expect(parseFinding(line)).toBeUndefined();
  });
});

describe('formatFinding', () => {
  it('puts place, message and rule on one line', () => {
    const finding = { path: 'proto/a.proto', line: 3, rule: 'OO_RULE_TIGHTENED', message: 'tighter' };
    expect(formatFinding(finding)).toBe('proto/a.proto:3: tighter [OO_RULE_TIGHTENED]');
  });
});
