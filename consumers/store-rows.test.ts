import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLog } from '../platform/log.ts';
import { storeRows } from './store-rows.ts';

const deps = {
  log: createLog({ name: 'test', level: 'silent', pretty: false }),
  signal: new AbortController().signal,
  random: () => 0,
};
const sql = (code: string) => Object.assign(new Error(code), { code, severity: 'ERROR' });

it('stores all but those that the database refuses, in their order, all of them once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (areGood) => {
      const stored: number[] = [];
      const items = areGood.map((_, i) => i);
      const refused = await storeRows(deps, items, async (some) => {
        if (some.some((i) => !areGood[i])) throw sql('23514');
        stored.push(...some);
      });
      expect(stored).toEqual(items.filter((i) => areGood[i]));
      expect(refused.map(({ item }) => item)).toEqual(items.filter((i) => !areGood[i]));
    }),
  );
});

it('waits an outage out with all in hand', async () => {
  let tries = 0;
  const refused = await storeRows(deps, [1, 2], async () => {
    if (++tries < 3) throw sql('57P01');
  });
  expect([tries, refused]).toEqual([3, []]);
});

it('rejects on what no waiting can mend', async () => {
  const store = () => Promise.reject(sql('42P01'));
  await expect(storeRows(deps, [1, 2], store)).rejects.toThrow('42P01');
});
