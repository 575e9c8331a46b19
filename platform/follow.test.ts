import { describe, expect, it } from 'vitest';
import { follow } from './follow.ts';

const log = { info: () => {}, warn: () => {}, error: () => {} };

describe('what is followed', () => {
  it('never goes back to what another look has found to be replaced', async () => {
    const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const asked: number[] = [];
    const followed = follow({
      what: 'numbers',
      initial: 0,
      log,
      async readNewest(knownId) {
        asked.push(knownId);
        const number = asked.length; // what the newest is at this moment
        await answers[number - 1]?.promise;
        return { id: number, read: () => number };
      },
    });
    const both = [followed.refresh(), followed.refresh()];
    answers[1]?.resolve(); // the answer to the second is there first
    await new Promise(setImmediate);
    answers[0]?.resolve();
    await Promise.all(both);
    expect(followed.current()).toBe(2);
    expect(asked).toEqual([0, 1]);
  });

  it('stays on an outage, and where the newest is wrong, of which it says so once', async () => {
    let next: (() => { id: number; read: () => string }) | undefined = () => ({ id: 1, read: () => 'first' });
    const told: string[] = [];
    const tell = (_: object, text: string) => told.push(text);
    const followed = follow({
      what: 'words',
      initial: 'none',
      log: { info: tell, warn: tell, error: tell } as unknown as typeof log,
      async readNewest(knownId) {
        if (!next) throw new Error('away');
        const newest = next();
        return newest.id === knownId ? undefined : newest;
      },
    });
    expect(followed.current()).toBe('none');
    expect(await followed.refresh()).toBeUndefined();
    next = undefined;
    for (let i = 0; i < 2; i++) expect(await followed.refresh()).toBeUndefined();
    expect(followed.current()).toBe('first');
    const wrong = new Error('no word');
    next = () => ({
      id: 2,
      read: () => {
        throw wrong;
      },
    });
    expect(await followed.refresh()).toBe(wrong);
    expect(await followed.refresh()).toBeUndefined();
    expect(followed.current()).toBe('first');
    next = () => ({ id: 3, read: () => 'third' });
    await followed.refresh();
    expect(followed.current()).toBe('third');
    expect(told).toEqual([
      'words in force',
      'words cannot be read, the last ones stay',
      'words are wrong, the last good ones stay',
      'words in force',
    ]);
  });
});
