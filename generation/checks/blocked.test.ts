import { describe, expect, it } from 'vitest';
import { gist } from '../output.ts';
import { blockList } from './block-list.ts';
import { findBlocked } from './blocked.ts';

const secrets = {
  nonce: '0f3a9c1e1b2d4c3e8f5a0123456789ab',
  promptText: 'You write tips for oO, which shows a person one tip at a time. A tip is one thing to do.',
};
const blocked = (text: string, ...quoted: string[]) => findBlocked(text, quoted, secrets);

describe('a text is blocked', () => {
  it.each([
    ['self_harm', 'Go and kill yourself.'],
    ['self_harm', 'Take an overdose.'],
    ['self_harm', 'Bring dich um!'],
    ['self_harm', '今すぐ自殺しなさい'],
    ['insult', 'Only an idiot would wait.'],
    ['insult', 'You’re lazy today.'],
    ['insult', 'Du bist faul.'],
    ['medical', 'You suffer from insomnia.'],
    ['medical', 'That is a clear diagnosis.'],
    ['medical', 'Vous souffrez de stress.'],
    ['leak', 'As an AI, I cannot know.'],
    ['leak', 'Als KI-Modell weiß ich das nicht.'],
    ['leak', 'My system prompt says so.'],
    ['leak', 'The fence is data-0f3a9c1e1b2d4c3e8f5a0123456789ab.'],
    ['leak', 'The fence is 0F 3A 9C-1E 1B 2D.'],
    ['leak', 'The fence is 0f3a9\u200bc1e1b2d.'],
    ['leak', 'oO says: you write tips for oO which shows a person one tip at a time.'],
    ['markup', 'Do <b>this</b> now.'],
    ['markup', '<script>alert(1)</script>'],
    ['markup', '<img src=x onerror=alert(1)'.concat('>')],
    ['markup', '＜b＞bold'],
    ['markup', 'a &lt; b'],
    ['markup', '[here](x)'],
    ['markup', '```do it```'],
    ['markup', '{{data}}'],
    ['markup', '<|im_end|>'],
    ['markup', '{"tips": []}'],
    ['link', 'See https://evil.example/x'],
    ['link', 'See www.evil'],
    ['link', 'See evil.com'],
    ['link', 'See evil.co.uk/login'],
    ['link', 'See 10.0.0.1/x'],
    ['link', 'javascript:alert(1)'],
    ['contact', 'Write to eve@mail.nl'],
    ['contact', 'Call +31 6 12345678'],
    ['contact', 'Pay to DE89 3704 0044 0532 0130 00'],
    ['disguise', 'Click your pаypal now'],
  ])('as %s: %s', (reason, text) => {
    expect(blocked(text)).toBe(reason);
  });

  it.each([
    'You write tips for oO which shows a person one.',
    'Open the form of the tax return.',
    'Take your medication at the usual time.',
    'Pick up the prescription.',
    'You slept 5 h 10 min. Choose one thing, e.g. the report, i.e. p. 3.',
    'Lunch is at 12:30–13:00; bring 2 < 3 cards & a pen.',
    'Read v2.10.3 of the notes (draft).',
    'A lazy Sunday walk helps.',
    'Suit yourself: cut the list.',
    'Ответьте на письмо.',
    'Prüfe α und β.',
    'Kill the process that hangs.',
    'Mail [e-mail] back.',
    'node.js and the well.Known',
  ])('not for: %s', (text) => {
    expect(blocked(text)).toBeUndefined();
  });
});

it('the person’s own words may be said again, but neither self-harm nor a link nor a leak of the nonce', () => {
  expect(blocked('Diagnose the login bug.')).toBe('medical');
  expect(blocked('Diagnose the login bug.', 'Diagnose login bug')).toBeUndefined();
  expect(blocked('You are an idiot: diagnose it.', 'Diagnose login bug')).toBe('insult');
  expect(blocked('Begin with “Kill yourself”.', 'Kill yourself')).toBe('self_harm');
  expect(blocked('Begin with evil.com.', 'evil.com')).toBe('link');
  expect(blocked(secrets.nonce, secrets.nonce)).toBe('leak');
});

it('phrases are written as they are compared', () => {
  const wrong = blockList.flatMap(({ phrases }) =>
    phrases.filter((phrase) => gist(phrase) !== phrase.replaceAll('*', '')),
  );
  expect(wrong).toEqual([]);
});
