import { expect, it } from 'vitest';
import { answer, options, unavailable } from './gateway.fixture.ts';
import { attempt, LlmError, type OnText } from './gateway.ts';

it('an attempt is heard as long as it has time, and its end once, before anyone else knows', async () => {
  const heard: unknown[] = [];
  const listen = (model: string) => ({
    onText: (piece: string, by: string) => heard.push([model, piece, by]),
    onEnd: (result: unknown) => heard.push(result),
  });
  let say: OnText | undefined;
  const silent = attempt('m', options({ listen, timeoutMs: 20 }), (_, onText) => {
    say = onText;
    onText?.('one', 'm-1');
    return new Promise(() => undefined);
  });
  const error = await silent.catch((error: unknown) => error);
  say?.('late', 'm-1');
  expect(error).toBeInstanceOf(LlmError);
  expect(heard).toEqual([['m', 'one', 'm-1'], error]);

  await attempt('m', options({ listen }), async () => answer).then(() => heard.push('known'));
  await attempt('m', options({ listen }), () => Promise.reject(unavailable)).catch(() => heard.push('known'));
  expect(heard.slice(2)).toEqual([answer, 'known', unavailable, 'known']);
});

it('an attempt that nobody listens to is asked for in one piece', async () => {
  const work = async (_: AbortSignal, onText: OnText | undefined) => ({ ...answer, text: typeof onText });
  expect(await attempt('m', options(), work)).toMatchObject({ text: 'undefined' });
});
