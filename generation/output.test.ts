import { describe, expect, it } from 'vitest';
import { outputSchema, parseOutput, type TipDraft, withoutRepeats } from './output.ts';

const tip = (over: Record<string, unknown> = {}) => ({
  content: 'Call the dentist now.',
  kind: 'task',
  rationale: 'It is overdue.',
  signal_ids: ['t1'],
  confidence: 0.5,
  ...over,
});
const answer = (...tips: unknown[]) => JSON.stringify({ tips });
const draft = (content: string, signalIds: readonly string[] = []): TipDraft => ({
  content,
  kind: 'advice',
  rationale: '',
  signalIds,
});

describe('parseOutput', () => {
  it('reads tips', () => {
    expect(parseOutput(answer(tip()), 3)).toEqual([
      {
        content: 'Call the dentist now.',
        kind: 'task',
        rationale: 'It is overdue.',
        signalIds: ['t1'],
        confidence: 0.5,
      },
    ]);
  });

  it.each([
    ['in a code fence', `\`\`\`json\n${answer(tip())}\n\`\`\``],
    ['in a bare code fence', `\n\`\`\`\n${answer(tip())}\n\`\`\`\n`],
    ['with spaces around', `  ${answer(tip())}\n`],
    ['with an unknown part', answer(tip({ mood: 'good' }))],
  ])('reads tips %s', (_, text) => {
    expect(parseOutput(text, 3)).toHaveLength(1);
  });

  it.each([
    ['absent', { content: 'Rest.', kind: 'advice' }],
    ['null', tip({ content: 'Rest.', kind: 'advice', rationale: null, signal_ids: null, confidence: null })],
  ])('forgives optional parts that are %s', (_, written) => {
    expect(parseOutput(answer(written), 3)).toEqual([
      { content: 'Rest.', kind: 'advice', rationale: '', signalIds: [] },
    ]);
  });

  it('makes one clean line of a text', () => {
    const [written] = parseOutput(answer(tip({ content: ' Call \n\tthe\u0000 dentist\ud800. ' })), 3) ?? [];
    expect(written?.content).toBe('Call the dentist\ufffd.');
  });

  it.each([
    ['of direction', 'Call \u202ethe\u202c \u2066dentist\u2069.', 'Call the dentist.'],
    ['of no width', 'Ca\u200bll the\ufeff den\u00adtist.', 'Call the dentist.'],
    ['of hidden text', 'Call the dentist.\u{e0041}\u{e0042}', 'Call the dentist.'],
  ])('takes out marks %s', (_, content, expected) => {
    expect(parseOutput(answer(tip({ content })), 3)?.[0]?.content).toBe(expected);
  });

  it.each(['می\u200cخواهم', '👩\u200d👧 go', 'क्\u200dष is'])('leaves joiners, with which %s is written', (content) => {
    expect(parseOutput(answer(tip({ content })), 3)?.[0]?.content).toBe(content);
  });

  it('keeps the first of repeated tips, and at most n', () => {
    const texts = ['Call her.', 'call  HER', 'Write it.', 'Rest.'];
    const written = parseOutput(answer(...texts.map((content) => tip({ content, signal_ids: ['a', 'a'] }))), 2);
    expect(written?.map(({ content, signalIds }) => [content, signalIds])).toEqual([
      ['Call her.', ['a']],
      ['Write it.', ['a']],
    ]);
  });

  it.each([
    ['prose', 'Here are your tips!'],
    ['prose around JSON', `Sure! ${answer(tip())}`],
    ['nothing', ''],
    ['a bare list', JSON.stringify([tip()])],
    ['no tips', answer()],
    ['no tips at all', '{}'],
    ['null', 'null'],
    ['an unknown kind', answer(tip({ kind: 'todo' }))],
    ['no kind', answer({ content: 'Rest now.' })],
    ['too short a text', answer(tip({ content: ' ab ' }))],
    ['too long a text', answer(tip({ content: 'x'.repeat(281) }))],
    ['a text that is a number', answer(tip({ content: 12345 }))],
    ['a confidence over 1', answer(tip({ confidence: 1.1 }))],
    ['ids that are no list', answer(tip({ signal_ids: 't1' }))],
    ['more ids than an event can hold', answer(tip({ signal_ids: Array.from({ length: 33 }, (_, at) => `${at}`) }))],
    ['one bad tip among good ones', answer(tip(), tip({ kind: 'todo' }))],
    ['a very deep answer', '['.repeat(100_000)],
    ['a fence that opens on blank lines without end', `\`\`\`json${'\n'.repeat(100_000)}x`],
    ['a fence around nothing', '```json\n```'],
    ['half a fence', `\`\`\`json\n${answer(tip())}`],
  ])('refuses %s', (_, text) => {
    expect(parseOutput(text, 3)).toBeUndefined();
  });

  it('takes texts of exactly 3 and 280 characters', () => {
    expect(parseOutput(answer(tip({ content: 'abc' }), tip({ content: 'x'.repeat(280) })), 3)).toHaveLength(2);
  });
});

describe('outputSchema', () => {
  const words = JSON.stringify(outputSchema);

  it('is what strict mode takes: every property required, none else allowed, no bounds', () => {
    expect(outputSchema).toMatchObject({ type: 'object', required: ['tips'], additionalProperties: false });
    expect(words).toContain('"required":["content","kind","rationale","signal_ids","confidence"]');
    expect(words.match(/"additionalProperties":false/g)).toHaveLength(2);
    expect(words).not.toMatch(/"(\$schema|(min|max)\w*)":/);
  });

  it('says the kinds and the length', () => {
    expect(words).toContain('"enum":["task","advice","insight","reminder"]');
    expect(words).toContain('3 to 280 characters');
  });
});

describe('withoutRepeats', () => {
  it.each([
    ['Ring Zoë!', 'ring zoë', 1],
    ['ﬁle it', 'file it', 1],
    ['1 of 2', '2 of 1', 2],
    ['喝水', '散步', 2],
    ['!!!', '???', 2],
  ])('"%s" and "%s" are %d', (a, b, count) => {
    expect(withoutRepeats([draft(a), draft(b)])).toHaveLength(count);
  });
});
