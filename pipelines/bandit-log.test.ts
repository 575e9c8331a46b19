import { describe, expect, it } from 'vitest';
import { collect } from '../tests/_util/bandit-logs.ts';
import { type Format, formatOf, readBanditLog } from './bandit-log.ts';

const encoder = new TextEncoder();
async function* bytesOf(...texts: readonly string[]) {
  for (const text of texts) yield encoder.encode(text);
}
const read = (format: Format, ...texts: readonly string[]) => collect(readBanditLog(bytesOf(...texts), format));
const json = (...rows: readonly object[]) => read('json-lines', rows.map((row) => JSON.stringify(row)).join('\n'));

const chosenHeader = 'user,propensity,target_probability,reward';
const candidate = { user: 'anna', reward: 1, chosen: 1, propensities: [0.5, 0.5] };

describe('readBanditLog', () => {
  it.each([
    ['LF', `${chosenHeader}\nanna,0.5,1,-2\n`],
    ['CRLF', `${chosenHeader}\r\nanna,0.5,1,-2\r\n`],
    ['a byte order mark', `\uFEFF${chosenHeader}\nanna,0.5,1,-2\n`],
    ['quotes', '"user","propensity","target_probability","reward"\n"anna","0.5","1","-2"\n'],
    ['other columns in another order', 'x,reward,user,target_probability,propensity\n?,-2.0,anna,1e0,.5\n'],
  ])('takes CSV with %s', async (_, text) => {
    const [line] = await read('csv', text);
    expect(line).toEqual({ line: 2, kind: 'chosen', user: 'anna', propensity: 0.5, targetProbability: 1, reward: -2 });
  });

  it('takes predictions', async () => {
    const [line] = await read('csv', `${chosenHeader},q_target,q_chosen\nanna,0.5,1,2,3,4\n`);
    expect(line).toMatchObject({ q: { chosen: 4, target: 3 } });
  });

  it('takes all candidates, from both formats alike', async () => {
    const rows = [
      {
        ...candidate,
        target_probabilities: [1, 0],
        vectors: [
          [1, -2.5],
          [0, 3],
        ],
      },
      {
        ...candidate,
        user: 'bert, "b"',
        target_probabilities: [0, 1],
        vectors: [
          [1, 2],
          [3, 4],
        ],
      },
    ];
    const quoted = (value: unknown) =>
      `"${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;
    const csv = [Object.keys(rows[0] ?? {}).join(','), ...rows.map((row) => Object.values(row).map(quoted).join(','))];
    const fromCsv = await read('csv', csv.join('\n'));
    const fromJson = await json(...rows);
    expect(fromJson).toEqual([
      {
        line: 1,
        kind: 'candidates',
        user: 'anna',
        reward: 1,
        chosen: 1,
        propensities: [0.5, 0.5],
        targetProbabilities: [1, 0],
        vectors: [
          [1, -2.5],
          [0, 3],
        ],
      },
      expect.objectContaining({ line: 2, user: 'bert, "b"' }),
    ]);
    expect(fromCsv).toEqual(fromJson.map((row) => ({ ...row, line: row.line + 1 })));
  });

  it('takes the ids of requests, from both formats alike', async () => {
    const [fromCsv] = await read('csv', 'request_id,user,reward,chosen,propensities\nr,anna,1,0,[1]\n');
    const [fromJson] = await json({ ...candidate, request_id: 'r' });
    expect([fromCsv, fromJson]).toMatchObject([{ requestId: 'r' }, { requestId: 'r' }]);
    expect((await json(candidate))[0]).not.toHaveProperty('requestId');
  });

  it('leaves out empty lines, and counts them', async () => {
    const lines = await read('json-lines', `\uFEFF\n${JSON.stringify(candidate)}\r\n\r\n${JSON.stringify(candidate)}`);
    expect(lines.map(({ line }) => line)).toEqual([2, 4]);
  });

  it.each([
    ['', []],
    [`${chosenHeader}\n`, []],
  ])('finds nothing in %j', async (text, expected) => {
    expect(await read('csv', text)).toEqual(expected);
  });

  it.each([
    ['user,propensity,reward\n', 'line 1: no column target_probability'],
    ['user,target_probability,reward\n', 'line 1: no column propensity (or propensities and chosen)'],
    ['\nreward\n', 'line 2: no column user, propensity, target_probability'],
    ['user,propensities,reward\n', 'line 1: no column chosen'],
    [`${chosenHeader},q_chosen\n`, 'line 1: no column q_target'],
    [`${chosenHeader},user\n`, 'line 1: column user is there twice'],
    [`${chosenHeader}\na,1,1\n`, 'line 2: 3 fields, but the header has 4 columns'],
    [`${chosenHeader}\na,1,1,1\na,1,1,1,1\n`, 'line 3: 5 fields, but the header has 4 columns'],
    [`${chosenHeader}\n,1,1,1\n`, 'line 2, column user: "" is not a text, or empty'],
    [`${chosenHeader}\na,1,1,\n`, 'line 2, column reward: "" is not a finite number'],
    [`${chosenHeader}\na,1,1,NaN\n`, 'line 2, column reward: "NaN" is not a finite number'],
    [`${chosenHeader}\na,Infinity,1,1\n`, 'line 2, column propensity: "Infinity" is not a finite number'],
    [`${chosenHeader}\na,1,0x1,1\n`, 'line 2, column target_probability: "0x1" is not a finite number'],
    [`${chosenHeader}\na,1,1,1e999\n`, 'line 2, column reward: null is not a finite number'],
    [`${chosenHeader}\na,1,1,"1,5"\n`, 'line 2, column reward: "1,5" is not a finite number'],
    [
      'request_id,user,reward,chosen,propensities\n,a,1,0,[1]\n',
      'line 2, column request_id: "" is not a text, or empty',
    ],
    ['user,reward,chosen,propensities\na,1,0,0.5\n', 'line 2, column propensities: "0.5" is not an array'],
    ['user,reward,chosen,propensities\na,1,0,"[0.5,""x""]"\n', 'line 2, column propensities: "x" is not a finite'],
    [
      'user,reward,chosen,propensities,vectors\na,1,0,[1],[1]\n',
      'line 2, column vectors: 1 is not an array of numbers',
    ],
  ])('refuses CSV %j', async (text, message) => {
    await expect(read('csv', text)).rejects.toThrow(message);
  });

  it.each<[readonly object[], string]>([
    [[candidate, { ...candidate, user: 7 }], 'line 2, column user: 7 is not a text, or empty'],
    [[candidate, { ...candidate, reward: null }], 'line 2, column reward: null is not a finite number'],
    [[candidate, { ...candidate, reward: '1' }], 'line 2, column reward: "1" is not a finite number'],
    [[candidate, { ...candidate, reward: undefined }], 'line 2, column reward: missing'],
    [[{ ...candidate, propensities: {} }], 'line 1, column propensities: {} is not an array of JSON'],
    [[{ ...candidate, vectors: [[1]] }], 'line 1, column vectors: 1 vectors for 2 propensities'],
    [[{ ...candidate, vectors: [[1], [1, 2]] }], 'line 1, column vectors: a vector of 2 entries, not 1'],
    [
      [
        { ...candidate, vectors: [[1], [2]] },
        {
          ...candidate,
          vectors: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
      'line 2, column vectors: a vector of 2 entries, not 1',
    ],
    [
      [{ ...candidate, vectors: [0, 1].map(() => new Array(257).fill(0)) }],
      'line 1, column vectors: vectors of 257 entries, at most 256 are allowed',
    ],
    [[candidate, { ...candidate, vectors: [[1], [1]] }], 'line 2, column vectors: was not on the first line'],
    [[{ ...candidate, vectors: [[1], [1]] }, candidate], 'line 2, column vectors: missing'],
    [[{ user: 'a', reward: 1 }], 'line 1: no column propensity, target_probability (or propensities and chosen)'],
    [[[1, 2]], 'line 1: not an object of JSON'],
  ])('refuses JSON %j', async (rows, message) => {
    await expect(json(...rows)).rejects.toThrow(message);
  });

  it('refuses what is no JSON, and what is no text', async () => {
    await expect(read('json-lines', '{"user": "a"')).rejects.toThrow('line 1: not an object of JSON');
    const noText = (async function* () {
      yield Uint8Array.of(0x75, 0xff, 0xfe);
    })();
    await expect(collect(readBanditLog(noText, 'csv'))).rejects.toThrow('not UTF-8');
  });

  it('reads characters that are cut in two', async () => {
    const bytes = encoder.encode(`${chosenHeader}\nÅse,1,1,1\n`);
    const cut = bytes.indexOf(0xc3) + 1;
    const parts = (async function* () {
      yield bytes.subarray(0, cut);
      yield bytes.subarray(cut);
    })();
    expect(await collect(readBanditLog(parts, 'csv'))).toMatchObject([{ user: 'Åse' }]);
  });

  it.each<[Format, string, string]>([
    ['csv', `${chosenHeader}\n`, 'a person,0.5,0.25,1.5\n'],
    ['json-lines', '', `${JSON.stringify(candidate)}\n`],
  ])(
    'reads %s of any length, and never more of it than a chunk ahead of what was asked for',
    async (format, header, row) => {
      const chunk = encoder.encode(row.repeat(1000));
      let given = 0;
      const endless = (async function* () {
        yield encoder.encode(header);
        for (; given < 300; given++) yield chunk;
      })();
      let taken = 0;
      let most = 0;
      for await (const _ of readBanditLog(endless, format)) {
        taken++;
        most = Math.max(most, (given + 1) * 1000 - taken);
      }
      expect(taken).toBe(300_000);
      expect(most).toBeLessThan(1001);
    },
  );
});

describe('formatOf', () => {
  it.each([
    ['log.csv', 'csv'],
    ['/a.b/LOG.CSV', 'csv'],
    ['log.jsonl', 'json-lines'],
    ['log.ndjson', 'json-lines'],
    ['log.parquet', undefined],
    ['csv', undefined],
  ])('of %s is %s', (file, expected) => {
    expect(formatOf(file)).toBe(expected);
  });
});
