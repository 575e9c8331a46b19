import { describe, expect, it } from 'vitest';
import { compareContracts } from './compare.ts';
import { fingerprint } from './meaning.ts';
import { type Edit, sample } from './testing.ts';

const events = 'oo/events/v1/events.proto';
const serving = 'oo/serving/v1/serving.proto';
const before = sample();

const slug = (expression: string) => `syntax = "proto2";
package oo.options.v1;
import "buf/validate/validate.proto";
extend buf.validate.StringRules {
  // Not that one.
  optional bool slug = 50003 [(buf.validate.predefined).cel = {
    id: "slug"
    expression: "${expression}"
  }];
}
`;

function compare(edits: Edit[], { released = before.packages, acknowledged = new Set<string>() } = {}) {
  return compareContracts({ before, after: sample(edits), released, acknowledged });
}

const messageRule = `    id: "score_request.ids"
    message: "the candidates must not be the request"
    expression: "!(this.request_id in this.candidate_ids)"
`;

const newMessage = `// New.
message New {
  // Id.
  string id = 1 [(buf.validate.field).required = true];
}
`;

/** Edits that add to ScoreResponse. */
const respond = (field: string): Edit[] => [
  [serving, '  string tip_id = 1;\n', `  string tip_id = 1;\n  // Added.\n  ${field}\n`],
];

describe('compareContracts', () => {
  it('finds nothing between a contract and itself', async () => {
    expect(await compare([])).toEqual([]);
  });

  const findings: [name: string, edits: Edit[], rule: string, about: string][] = [
    [
      'upper bound lowered',
      [[events, 'max_len: 64', 'max_len: 8']],
      'OO_RULE_TIGHTENED',
      'string.min_len 1 and max_len 64 → min_len 1 and max_len 8',
    ],
    [
      'rule on a field that had none',
      [[serving, 'string tip_id = 1;', 'string tip_id = 1 [(buf.validate.field).string.max_len = 9];']],
      'OO_RULE_TIGHTENED',
      'oo.serving.v1.ScoreResponse.tip_id may reject',
    ],
    ['rule of items', [[serving, '{max_len: 64}', '{max_len: 8}']], 'OO_RULE_TIGHTENED', 'repeated.items.string.'],
    ['rule over a message', [[serving, '"!(this.', '"true || !(this.']], 'OO_RULE_TIGHTENED', 'cel[score_request.ids]'],
    [
      'rule over a oneof',
      [
        [
          serving,
          'string tip_id = 1;',
          'string tip_id = 1; oneof choice { option (buf.validate.oneof).required = true; bool all = 2; }',
        ],
      ],
      'OO_RULE_TIGHTENED',
      'oo.serving.v1.ScoreResponse.choice is new',
    ],
    [
      'new field that is required',
      respond('optional double score = 2 [(buf.validate.field).required = true];'),
      'OO_RULE_TIGHTENED',
      'oo.serving.v1.ScoreResponse.score is new, and rejects senders that leave it out: value is required',
    ],
    [
      'new field without presence whose rule rejects zero',
      respond('string model = 2 [(buf.validate.field).string.min_len = 1];'),
      'OO_RULE_TIGHTENED',
      'oo.serving.v1.ScoreResponse.model is new',
    ],
    [
      'new list that must not be empty',
      respond('repeated string model = 2 [(buf.validate.field).repeated.min_items = 1];'),
      'OO_RULE_TIGHTENED',
      'oo.serving.v1.ScoreResponse.model is new',
    ],
    ['unit of a field', [[events, '// Milliseconds', '// Seconds']], 'OO_MEANING_CHANGED', 'TipFeedback.dwell_ms'],
    ['comment of a message', [[events, '// A tip was shown.\nm', '// Shown.\nm']], 'OO_MEANING_CHANGED', 'TipServed'],
    [
      'comment of an enum',
      [[events, '// What a person', '// What one']],
      'OO_MEANING_CHANGED',
      'oo.events.v1.Reaction ',
    ],
    ['comment of a value', [[events, 'put away', 'put off']], 'OO_MEANING_CHANGED', 'Reaction.REACTION_DISMISS'],
    ['comment of a oneof', [[events, '// The payload', '// What']], 'OO_MEANING_CHANGED', 'Envelope.payload'],
    ['comment of a service', [[serving, '// Chooses the', '// Picks a']], 'OO_MEANING_CHANGED', 'v1.ServingService '],
    ['comment of a call', [[serving, '// Ranks the', '// Sorts']], 'OO_MEANING_CHANGED', 'ServingService.Score '],
    ['comment gone', [[events, '  // Where it was shown.\n', '']], 'OO_MEANING_CHANGED', 'TipServed.screen'],
    ['subject', [[events, '"signals.tip.served"', '"signals.tip.shown"']], 'OO_OPTION_CHANGED', 'TipServed'],
    [
      'subject gone',
      [[events, '  option (oo.options.v1.subject).subject = "signals.tip.served";\n', '']],
      'OO_OPTION_CHANGED',
      '→ (none)',
    ],
    [
      'accepted subject gone',
      [[events, '["signals.tip.feedback"]', '["feedback.tip"]']],
      'OO_OPTION_CHANGED',
      'TipFeedback',
    ],
    ['time to live', [[serving, 'seconds: 3600', 'seconds: 60']], 'OO_OPTION_CHANGED', 'ScoreRequest.completion_rate'],
  ];
  it.each(findings)('finds a change: %s', async (_name, edits, rule, about) => {
    const found = await compare(edits);
    expect(found.map((finding) => finding.rule)).toEqual([rule]);
    expect(found[0]?.message).toContain(about);
  });

  const fine: [name: string, edits: Edit[]][] = [
    ['upper bound raised', [[events, 'max_len: 64', 'max_len: 128']]],
    ['rule gone', [[events, ' [(buf.validate.field).string.uuid = true]', '']]],
    [
      'rule over a message gone',
      [
        [serving, '(buf.validate.message).cel = {', '(buf.validate.message) = {'],
        [serving, messageRule, ''],
      ],
    ],
    ['new field', respond('double score = 2;')],
    [
      'new field whose rule skips its absence',
      respond('optional double score = 2 [(buf.validate.field).double.gte = 1];'),
    ],
    [
      'new field whose rule skips zero',
      respond('string id = 2 [(buf.validate.field) = {string: {uuid: true}, ignore: IGNORE_IF_ZERO_VALUE}];'),
    ],
    ['new message with a required field', [[serving, '// The ranking.', `${newMessage}\n// The ranking.`]]],
    ['comment wrapped and extended', [[events, '// What happened.', '// What\n// happened. And when.']]],
    ['subject accepted under another name', [[events, '["signals.tip.feedback"]', '["a.b", "signals.tip.feedback"]']]],
    [
      'subject given',
      [[serving, '  // The tip chosen.', '  option (oo.options.v1.subject).subject = "a.b";\n  // The tip chosen.']],
    ],
  ];
  it.each(fine)('finds nothing wrong: %s', async (_name, edits) => {
    expect(await compare(edits)).toEqual([]);
  });

  it('knows a field by its number, under whatever name', async () => {
    const found = await compare([
      [
        events,
        'dwell_ms = 3 [(buf.validate.field).uint32.lte = 1000]',
        'dwell = 3 [(buf.validate.field).uint32.lte = 10]',
      ],
    ]);
    expect(found.map(({ rule }) => rule)).toEqual(['OO_RULE_TIGHTENED']);
  });

  it('finds a rule added to a oneof that was there', async () => {
    const free = sample([[events, '    option (buf.validate.oneof).required = true;\n', '']]);
    const found = await compareContracts({ before: free, after: before, released: new Set(), acknowledged: new Set() });
    expect(found).toMatchObject([{ rule: 'OO_RULE_TIGHTENED', message: expect.stringContaining('Envelope.payload') }]);
  });

  it('finds another meaning of a rule of our own', async () => {
    const own = (expression: string) => sample([['oo/options/v1/slug.proto', '', slug(expression)]]);
    const [old, now] = [own("this != 'a'"), own("this != 'b'")];
    const found = await compareContracts({ before: old, after: now, released: new Set(), acknowledged: new Set() });
    expect(found).toMatchObject([
      { rule: 'OO_RULE_TIGHTENED', message: expect.stringContaining('oo.options.v1.slug') },
    ]);
  });

  it('lets a wording be corrected where it is acknowledged, and only to the text that was', async () => {
    const name = 'oo.events.v1.TipServed.screen';
    const edit = (text: string): Edit[] => [[events, '// Where it was shown.', `// ${text}`]];
    const acknowledged = new Set([`${name} ${fingerprint('The screen it was shown on.')}`]);
    expect(await compare(edit('The screen it was shown on.'), { acknowledged })).toEqual([]);
    expect((await compare(edit('The page it was shown on.'), { acknowledged }))[0]?.message).toContain(
      `clarifications.txt: ${name} ${fingerprint('The page it was shown on.')} <reason>`,
    );
  });

  it('lets packages that are not released reword their comments', async () => {
    const edits: Edit[] = [[events, '// Where it', '// On which screen it']];
    expect(await compare(edits, { released: new Set(['oo.serving.v1']) })).toEqual([]);
  });

  it('names file and line', async () => {
    expect((await compare([[events, 'max_len: 64', 'max_len: 8']]))[0]).toMatchObject({ path: events, line: 31 });
  });
});
